//go:build linux

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestConfigEditConflict: somebody else writes, through a process of his own, while the editor is open.
func TestConfigEditConflict(t *testing.T) {
	t.Parallel()
	putForEdit(t, "shared", `{"x":1,"y":1}`)
	e := startEdit(t, `etcdkit config put shared --value '{"x":1,"y":7}' >/dev/null; sed -i 's/"x": 1/"x": 2/' "$1"`, "shared", "--yes")
	e.ends(statusConflict, `"x": 2`)
	value, theirs := stands(t, t.Name(), "shared")
	if value != `{"x":1,"y":7}` || e.out.all() != "" {
		t.Errorf("%s stands there, printed %q", value, e.out.all())
	}
	for _, text := range []string{
		"etcdkit: from theirs (-) to yours (+):\n {\n-  \"x\": 1,\n-  \"y\": 7\n+  \"x\": 2,\n+  \"y\": 1\n }\n",
		fmt.Sprintf("somebody else has written it: it is at revision %d, and was to be at ", theirs),
	} {
		if !strings.Contains(e.err.all(), text) {
			t.Errorf("it says %q, and not %q", e.err.all(), text)
		}
	}
}

// TestConfigEditWithoutAnAnswer: the text is kept, since nobody knows whether it was written.
func TestConfigEditWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	putForEdit(t, "silent", `{"x":1}`)
	etcd := newForgetful(t, "remember me")
	e := startEdit(t, `sed -i 's/1/"remember me"/' "$1"`, "silent", "--yes", "--endpoints", etcd.endpoint, "--command-timeout", "2s")
	e.ends(statusFailed, "remember me")
	if says := "no answer from etcd at " + etcd.endpoint + " within 2s: it may have been written, or may still be: "; !strings.Contains(e.err.all(), says) {
		t.Errorf("it says %q", e.err.all())
	}
	if value, _ := stands(t, t.Name(), "silent"); !strings.Contains(value, "remember me") {
		t.Errorf("%s stands there", value)
	}
}

// TestConfigEditOfATreeWithNull: a key that holds null is there. It stays as it is, or is taken out.
func TestConfigEditOfATreeWithNull(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	for path, value := range map[string]string{"a": "null", "b": " null", "c": "1"} {
		if _, err := shared.client.Put(t.Context(), prefix+"/config/wood/"+path, value); err != nil {
			t.Fatal(err)
		}
	}
	e := startEdit(t, `sed -i -e /a:/d -e 's/1/2/' "$1"; echo new: null >>"$1"`, "--tree", "wood", "--format", "yaml", "--yes")
	e.ends(0, "")
	if got, want := succeed(t, "config", "get", "--prefix", prefix, "--tree", "wood"), "KEY  VALUE\nb    null\nc    2\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got := succeed(t, "config", "history", "--prefix", prefix, "--tree", "wood"); !strings.Contains(got, "1 written, 1 deleted") {
		t.Errorf("history: %s", got)
	}
}

func TestConfigEditOfATree(t *testing.T) {
	t.Parallel()
	put := []string{"config", "put", "--prefix", ownPrefix(t), "--tree", "wood", "--value"}
	succeed(t, append(put, `{"a":1,"b":2,"c/d":3}`)...)
	if _, err := shared.client.Put(t.Context(), t.Name()+"/config/wood/text", "plain"); err != nil {
		t.Fatal(err)
	}
	e := startEdit(t, `sed -i -e s/2/5/ -e /^a:/d "$1"; echo new: x >>"$1"`, "--tree", "wood", "--format", "yaml", "--yes")
	e.ends(0, "")
	got := succeed(t, "config", "get", "--prefix", t.Name(), "--tree", "wood")
	if want := "KEY   VALUE\nb     5\nc/d   3\nnew   \"x\"\ntext  plain\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got := succeed(t, "config", "history", "--prefix", t.Name(), "--tree", "wood"); !strings.Contains(got, "2 written, 1 deleted") {
		t.Errorf("history: %s", got)
	}
	e = startEdit(t, `etcdkit config put --tree wood --value '{"b":6}' >/dev/null; sed -i s/5/7/ "$1"`, "--tree", "wood", "--yes")
	e.ends(statusConflict, "7")
	e.awaitNote("from theirs")
	for _, line := range []string{"b:", "-6", "+7"} {
		if got := e.awaitNote(""); got != line {
			t.Errorf("it says %q, want %q", got, line)
		}
	}
}

// TestConfigEditOfATreeConflictsWithAnotherKey: what they wrote is shown, also where you did not touch it.
func TestConfigEditOfATreeConflictsWithAnotherKey(t *testing.T) {
	t.Parallel()
	succeed(t, "config", "put", "--prefix", ownPrefix(t), "--tree", "wood", "--value", `{"a":1,"b":2,"c":3}`)
	e := startEdit(t, `etcdkit config put --tree wood --value '{"b":{"x":6},"c":null}' >/dev/null; sed -i 's/"a": 1/"a": 5/' "$1"`, "--tree", "wood", "--yes")
	e.ends(statusConflict, `"a": 5`)
	e.awaitNote("theirs, b:")
	for _, line := range []string{
		"{", `  "x": 6`, "}", "etcdkit: theirs, c: it is not there any more",
		"etcdkit: from theirs (-) to yours (+):", "a:", "-1", "+5",
	} {
		if got := e.awaitNote(""); got != line {
			t.Errorf("it says %q, want %q", got, line)
		}
	}
	got := succeed(t, "config", "get", "--prefix", t.Name(), "--tree", "wood")
	if want := "KEY  VALUE\na    1\nb    {\"x\":6}\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestConfigEditWithABadEditor(t *testing.T) {
	t.Parallel()
	putForEdit(t, "editor", `{}`)
	for script, left := range map[string]string{`exit 3`: "", `echo text >"$1"; exit 3`: "text"} {
		e := startEdit(t, script, "editor")
		e.ends(statusFailed, left)
		if !strings.Contains(e.err.all(), "ended with status 3: nothing was written") {
			t.Errorf("it says %q", e.err.all())
		}
	}
	// An editor may have arguments, and VISUAL comes before EDITOR.
	p := launch(t, []string{"VISUAL=sed -i -e 's/{}/{ }/'", "EDITOR=false"}, "config", "edit", "--prefix", t.Name(), "editor")
	if status := p.wait(); status != 0 || !strings.HasPrefix(p.out.all(), "unchanged, ") {
		t.Errorf("status %d, %q", status, p.err.all())
	}
	p = launch(t, []string{"VISUAL=no-such-editor", "EDITOR=true"}, "config", "edit", "--prefix", t.Name(), "editor")
	if status := p.wait(); status != statusFailed || !strings.Contains(p.err.all(), `editor "no-such-editor" ended with status 127`) {
		t.Errorf("status %d, %q", status, p.err.all())
	}
}

// TestConfigEditKeepsTheTextAtASignal: the editor gets it too, and what it saves is not lost.
func TestConfigEditKeepsTheTextAtASignal(t *testing.T) {
	t.Parallel()
	putForEdit(t, "signal", `{}`)
	inEditor := startEdit(t, `trap 'echo saved >"$1"; exit' TERM; echo ready; read line`, "signal")
	inEditor.awaitNote("ready")
	inEditor.signal(syscall.SIGTERM)
	inEditor.ends(128+15, "saved")
	asked := startEdit(t, `echo '{"x":1}' >"$1"`, "signal")
	asked.awaitNote("+}")
	asked.signal(syscall.SIGINT)
	asked.ends(128+2, `"x"`)
	if value, _ := stands(t, t.Name(), "signal"); value != `{}` {
		t.Errorf("wrote %q", value)
	}
}
