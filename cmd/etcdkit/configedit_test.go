//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestConfigEdit(t *testing.T) {
	t.Parallel()
	putForEdit(t, "a", `{"z":1,"a":"x"}`)
	e := startEdit(t, `ls -l "$1"; cat "$1"; sed -i s/1/2/ "$1"`, "a", "--comment", "by hand")
	for _, line := range []string{"-rw-------", "{", `  "z": 1,`, `  "a": "x"`, "}", " {", `-  "z": 1,`, `+  "z": 2,`, `   "a": "x"`, " }"} {
		if got := e.awaitNote(""); !strings.HasPrefix(got, line) {
			t.Errorf("it says %q, want %q", got, line)
		}
	}
	e.say("y")
	e.ends(0, "")
	value, rev := stands(t, t.Name(), "a")
	if value != "{\n  \"z\": 2,\n  \"a\": \"x\"\n}" || e.out.all() != fmt.Sprintf("written, revision %d\n", rev) || !strings.Contains(e.err.all(), "write it? [y/N], or e to edit it again") {
		t.Errorf("wrote %q, and %q, %q", value, e.out.all(), e.err.all())
	}
	if got := succeed(t, "config", "history", "--prefix", t.Name(), "a"); !strings.Contains(got, "by hand") {
		t.Errorf("history: %s", got)
	}
}

func TestConfigEditOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	ownPrefix(t)
	e := startEdit(t, `grep -q '^{}$' "$1"; printf 'x: 5s # fast\n' >"$1"`, "new", "--format", "yaml", "--yes", "-o", "json")
	e.ends(0, "")
	if value, rev := stands(t, t.Name(), "new"); value != `{"x":"5s"}` || e.out.all() != fmt.Sprintf("{\"revision\":%d}\n", rev) {
		t.Errorf("wrote %q, and %q", value, e.out.all())
	}
}

// TestConfigEditOfJunk: an edit can mend what no program can read.
func TestConfigEditOfJunk(t *testing.T) {
	t.Parallel()
	if _, err := storeIn(ownPrefix(t), "junk").Put(t.Context(), 0, []byte(`{"x": 1,}`)); err != nil {
		t.Fatal(err)
	}
	e := startEdit(t, `true`, "junk", "--format", "yaml")
	e.ends(statusFailed, "")
	if want := "etcdkit: config \"junk\": it is not JSON, and cannot be shown as YAML\n"; e.err.all() != want {
		t.Errorf("as YAML: %q", e.err.all())
	}
	e = startEdit(t, `sed -i 's/,//' "$1"`, "junk", "--yes")
	e.ends(0, "")
	if value, _ := stands(t, t.Name(), "junk"); value != `{"x": 1}` {
		t.Errorf("wrote %q", value)
	}
}

func TestConfigEditThatChangesNothing(t *testing.T) {
	t.Parallel()
	putForEdit(t, "same", `{"x":1}`)
	_, before := stands(t, t.Name(), "same")
	for name, args := range map[string][]string{
		`true`:                            {"same"},
		`printf '{ "x":\n1 }' >"$1"`:      {"same"},
		`printf '# why\nx: 1\n' >"$1"`:    {"same", "--format", "yaml"},
		`printf '{"x" : 1 }' >"$1" #tree`: {"--tree", "sametree"},
	} {
		if args[0] == "--tree" {
			succeed(t, "config", "put", "--prefix", t.Name(), "--tree", "sametree", "--value", `{"x":1}`)
		}
		e := startEdit(t, name, args...)
		e.ends(0, "")
		if !strings.HasPrefix(e.out.all(), "unchanged, revision ") || e.err.all() != "" {
			t.Errorf("%s: %q, %q", name, e.out.all(), e.err.all())
		}
	}
	if _, after := stands(t, t.Name(), "same"); after != before {
		t.Errorf("it was written, in revision %d", after)
	}
}

// brokenOnce is an editor that leaves bad JSON behind at first, and better at the second time.
const brokenOnce = `
	if [ -e "$DIR/second" ]; then echo '{"x": 2}' >"$1"; else touch "$DIR/second"; printf '{\n "x": 1,\n "x" 2}' >"$1"; fi`

func TestConfigEditOfABadText(t *testing.T) {
	t.Parallel()
	putForEdit(t, "bad", `{"x":1}`)
	const says = `etcdkit: edit "bad": bad JSON at line 3, column 6: `
	again := startEdit(t, brokenOnce, "bad")
	again.awaitNote(says)
	again.say("") // yes
	again.awaitNote(`+  "x": 2`)
	again.say("y")
	again.ends(0, "")
	if value, _ := stands(t, t.Name(), "bad"); value != `{"x": 2}` {
		t.Errorf("wrote %q", value)
	}
	for _, answer := range []string{"n", "--yes", "end"} {
		args := []string{"bad"}
		if answer == "--yes" {
			args = append(args, answer)
		}
		e := startEdit(t, brokenOnce, args...)
		e.awaitNote(says)
		switch answer {
		case "n":
			e.say("N")
		case "end":
			if _, err := io.WriteString(e.stdin, "\x04"); err != nil { // Ctrl-D
				t.Fatal(err)
			}
		}
		e.ends(statusFailed, `"x" 2}`)
		if (answer == "end") != strings.Contains(e.err.all(), "ends without an answer: give --yes") {
			t.Errorf("%s: %q", answer, e.err.all())
		}
	}
}

func TestConfigEditIsNotWrittenUnlessAgreed(t *testing.T) {
	t.Parallel()
	putForEdit(t, "asked", `{"x":1}`)
	e := startEdit(t, `echo '{"x": 2}' >"$1"`, "asked")
	e.awaitNote("+  \"x\": ")
	e.say("e")
	e.awaitNote("+  \"x\": ")
	e.say("")
	e.ends(statusFailed, `{"x": `)
	if value, _ := stands(t, t.Name(), "asked"); value != `{"x":1}` || e.out.all() != "" {
		t.Errorf("wrote %q, printed %q", value, e.out.all())
	}
}

// TestConfigEditOfAnEmptyText: who thinks better of it leaves nothing behind.
func TestConfigEditOfAnEmptyText(t *testing.T) {
	t.Parallel()
	putForEdit(t, "empty", `{"x":1}`)
	for _, args := range [][]string{{"empty"}, {"empty", "--yes"}, {"empty", "--format", "yaml"}} {
		e := startEdit(t, `printf ' \n' >"$1"`, args...)
		e.ends(statusFailed, "")
		if want := "etcdkit: edit \"empty\": nothing was written, since the text is empty\n"; e.err.all() != want {
			t.Errorf("%v: it says %q", args, e.err.all())
		}
	}
	if value, _ := stands(t, t.Name(), "empty"); value != `{"x":1}` {
		t.Errorf("%s stands there", value)
	}
}

// TestConfigEditAsksATerminalAlone: what comes in a pipe is no answer, and what was edited is kept.
func TestConfigEditAsksATerminalAlone(t *testing.T) {
	t.Parallel()
	putForEdit(t, "pipe", `{"x":1}`)
	for script, says := range map[string]string{
		`sed -i s/1/2/ "$1"`:           `+  "x": 2`,
		`printf '{"x":2,"x":3}' >"$1"`: `bad JSON at line 1, column 10: "x" is there twice`,
		`printf '{"x":"2\377"}' >"$1"`: "bad text at line 1, column 8: it is not UTF-8",
	} {
		e := startEditAt(t, nil, script, "pipe")
		e.say("y")
		e.awaitNote(says)
		e.ends(statusFailed, "2")
		if !strings.Contains(e.err.all(), "there is no terminal to ask at: give --yes") || strings.Contains(e.err.all(), "[") {
			t.Errorf("it says %q", e.err.all())
		}
	}
	if value, _ := stands(t, t.Name(), "pipe"); value != `{"x":1}` {
		t.Errorf("%s stands there", value)
	}
}

// TestConfigEditOfBytes: an editor would spoil them.
func TestConfigEditOfBytes(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	for key, value := range map[string]string{"bytes": "\xff\xfe", "string": "{\"x\":\"\xff\"}", "wood/text": "1", "wood/bytes": "\xff"} {
		if _, err := shared.client.Put(t.Context(), prefix+"/config/"+key, value); err != nil {
			t.Fatal(err)
		}
	}
	for want, args := range map[string][]string{
		`config "bytes": it is not UTF-8, and cannot be shown as JSON`:           {"bytes"},
		`config "bytes": it is not UTF-8, and cannot be shown as YAML`:           {"bytes", "--format", "yaml"},
		`config "string": it is not UTF-8, and cannot be shown as JSON`:          {"string"},
		`config "wood": the key bytes is not UTF-8, and cannot be shown as text`: {"--tree", "wood"},
	} {
		e := startEdit(t, `echo spoilt >"$1"`, args...)
		e.ends(statusFailed, "")
		if e.err.all() != "etcdkit: "+want+"\n" {
			t.Errorf("%v: it says %q", args, e.err.all())
		}
	}
}
