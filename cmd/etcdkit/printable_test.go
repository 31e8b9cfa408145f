package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestOnlyPrintableTextReachesTheTerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                    "",
		`a "b" \c é 東`:        `a "b" \c é 東`,
		"two\nlines\tand tab": `"two\nlines\tand tab"`,
		"\x1b[2Jgone":         `"\x1b[2Jgone"`,
		"\u009b2J":            `"\u009b2J"`,
		"left \u202e thgir":   `"left \u202e thgir"`,
		"\xff\"":              `"\xff\""`,
		"\ufffd":              "\ufffd",
	} {
		if got := quoteUnprintable(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := escape("said \"\x1b[2J\"\n"); got != `said "\x1b[2J"\n` {
		t.Errorf("escaped: %s", got)
	}
}

func TestTableKeepsItsShape(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := table(&out, [][]string{{"A", "B"}, {"1\n2", "3\t4"}, {"\x1b", "5"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "A       B\n\"1\\n2\"  \"3\\t4\"\n\"\\x1b\"  5\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestLabelsCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	args := []string{"lock", "--prefix", "labels"}
	holder := launch(t, nil, append(append(args, "run", "shown", "--label", "job=\x1b[2J\nx"), untilLine...)...)
	holder.await("started")
	for _, what := range [][]string{{"ls"}, {"owners", "shown"}} {
		out := succeed(t, append(args, what...)...)
		if !strings.Contains(out, `"job=\x1b[2J\nx"`) || strings.Contains(out, "\x1b") || strings.Count(out, "\n") != 2 {
			t.Errorf("%v: %q", what, out)
		}
	}
	var owners []owner
	decode(t, succeed(t, append(args, "owners", "shown", "-o", "json")...), &owners)
	if len(owners) != 1 || owners[0].Labels["job"] != "\x1b[2J\nx" || owners[0].Since == "" {
		t.Errorf("in JSON: %+v", owners)
	}
}
