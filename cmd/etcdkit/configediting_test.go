//go:build linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// editing is an etcdkit config edit whose editor is a script, which finds the text in $1.
type editing struct {
	*process
	temp string // where drafts are
}

// startEdit edits a value under the prefix of the test, with a terminal to answer at. In the script, etcdkit is the command itself.
func startEdit(t *testing.T, script string, args ...string) editing {
	t.Helper()
	master, slave := openTerminal(t)
	e := startEditAt(t, slave, script, args...)
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	e.stdin = master
	return e
}

// startEditAt edits with that standard input; nil is a pipe.
func startEditAt(t *testing.T, stdin *os.File, script string, args ...string) editing {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, temp := t.TempDir(), t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "etcdkit")); err != nil {
		t.Fatal(err)
	}
	editor := filepath.Join(dir, "an editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh -eu\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{"VISUAL=", "EDITOR='" + editor + "'", "TMPDIR=" + temp, "PATH=" + dir + ":" + os.Getenv("PATH"), "ETCDKIT_PREFIX=" + t.Name(), "DIR=" + dir}
	return editing{launchWith(t, stdin, env, append([]string{"config", "edit"}, args...)...), temp}
}

// ends checks how it ends, and what is left: nothing, or a text of that kind.
func (e editing) ends(status int, left string) {
	e.t.Helper()
	if got := e.wait(); got != status {
		e.t.Errorf("status %d, want %d: %q, %q", got, status, e.out.all(), e.err.all())
	}
	drafts, err := filepath.Glob(filepath.Join(e.temp, "*"))
	if err != nil {
		e.t.Fatal(err)
	}
	if left == "" {
		if len(drafts) != 0 || strings.Contains(e.err.all(), "kept") {
			e.t.Errorf("left behind: %q, %q", drafts, e.err.all())
		}
		return
	}
	named := regexp.MustCompile(`your text is kept in (\S+)\n`).FindStringSubmatch(e.err.all())
	if named == nil {
		e.t.Fatalf("no text is kept: %q", e.err.all())
	}
	text, err := os.ReadFile(named[1])
	if err != nil || !strings.Contains(string(text), left) {
		e.t.Errorf("kept: %q, %v", text, err)
	}
}

func putForEdit(t *testing.T, name, value string) {
	t.Helper()
	succeed(t, "config", "put", "--prefix", ownPrefix(t), name, "--value", value)
}
