//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTerminal runs etcdkit as the foreground job of a terminal: the command can read from it, and gets Ctrl-C once.
func TestTerminal(t *testing.T) {
	t.Parallel()
	p, master := inTerminal(t, nil, "lock", "terminal", "--", "sh", "-c", `
		told=
		trap "told=1; echo got INT" INT
		echo ready
		while [ -z "$told" ]; do sleep 0.02; done
		sleep 0.2 # in which a second one would come
		read line
		echo read "$line"`)
	p.await("ready")
	if _, err := master.WriteString("\x03"); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	p.await("got INT")
	p.say("some words")
	p.await("read some words")
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	if got := strings.Count(p.out.all(), "got INT"); got != 1 {
		t.Errorf("got Ctrl-C %d times: %q", got, p.out.all())
	}
}

// TestConfigInATerminal: the editor can read from it and is asked about in it, and what would move its cursor is spelled out.
func TestConfigInATerminal(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	if _, err := storeIn(prefix, "a").Put(t.Context(), 0, []byte("\x1b[2J")); err != nil {
		t.Fatal(err)
	}
	get, _ := inTerminal(t, nil, "config", "--prefix", prefix, "get", "a")
	if got := get.await(""); got != `\x1b[2J` {
		t.Errorf("get: %q", got)
	}
	editor := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\necho editing; read line; echo \"$line\" >\"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"\x03", "y\n"} { // Ctrl-C
		edit, master := inTerminal(t, []string{"VISUAL=" + editor}, "config", "--prefix", prefix, "edit", "a")
		edit.await("editing")
		edit.say(`{"x":1}`)
		edit.await(`-\x1b[2J`)
		edit.await("+}")
		if _, err := master.WriteString(answer); err != nil {
			t.Fatal(err)
		}
		if answer == "y\n" {
			edit.await("written, revision ")
		} else if status := edit.wait(); status != 128+2 {
			t.Errorf("status %d after Ctrl-C: %q", status, edit.out.all())
		}
	}
	if value, _ := stands(t, prefix, "a"); value != `{"x":1}` {
		t.Errorf("%q stands there", value)
	}
}

// TestConfigEditFromAPipeInATerminal: the names of others are in the pipe, say, and the answers are typed all the same.
func TestConfigEditFromAPipeInATerminal(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	succeed(t, "config", "--prefix", prefix, "put", "a", "--value", `{"x":1}`)
	editor := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\necho editing; read line; echo \"$line\" >\"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	edit, _ := inTerminalWith(t, strings.NewReader("n\nn\n"), []string{"VISUAL=" + editor}, "config", "--prefix", prefix, "edit", "a")
	edit.await("editing")
	edit.say(`{"x":2}`)
	edit.await(`+  "x": 2`)
	edit.say("y")
	edit.await("written, revision ")
	if value, _ := stands(t, prefix, "a"); value != `{"x":2}` {
		t.Errorf("%q stands there", value)
	}
}

// inTerminal starts etcdkit as the foreground job of a terminal of its own, whose other end it returns, too. Both outputs are one there.
func inTerminal(t *testing.T, env []string, args ...string) (*process, *os.File) {
	t.Helper()
	return inTerminalWith(t, nil, env, args...)
}

// inTerminalWith does the same with a standard input that is not the terminal, unless that is nil.
func inTerminalWith(t *testing.T, stdin io.Reader, env []string, args ...string) (*process, *os.File) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	master, slave := openTerminal(t)
	cmd := exec.Command(self, args...)
	cmd.Env = append(withoutVariables(os.Environ()), commandVariables(shared.endpoint)...)
	cmd.Env = append(append(cmd.Env, "TMPDIR="+t.TempDir()), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if stdin != nil {
		cmd.Stdin = stdin
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	p := &process{t: t, cmd: cmd, stdin: master, out: newLines(master), err: newLines(strings.NewReader("")), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	go p.follow() // reading fails when the last process has closed its end
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.done
	})
	return p, master
}

// openTerminal returns the two ends of a pseudo terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
