package config

import (
	"fmt"
	"strings"
	"testing"
)

func numbers(from, to int, more ...string) []byte {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return []byte(strings.Join(append(all, more...), "\n"))
}

func TestDiff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b []byte
		want string
	}{
		{"nothing", nil, nil, ""},
		{"the same", []byte("a"), []byte("a"), ""},
		{"new", nil, []byte("a\nb\n"), "+a\n+b\n"},
		{"gone", []byte("a"), nil, "-a\n"},
		{"new and empty", nil, []byte{}, "no line differs, and yet the bytes do\n"},
		{"a new line at the end", []byte("a"), []byte("a\n"), "no line differs, and yet the bytes do\n"},
		{"JSON in one line", []byte(`{"a":1,"b":[1]}`), []byte(`{"a":2,"b":[1]}`), " {\n-  \"a\": 1,\n+  \"a\": 2,\n   \"b\": [\n     1\n   ]\n...\n"},
		{"JSON laid out anew", []byte(`{"a":1}`), []byte(`{ "a":1}`), "-{\"a\":1}\n+{ \"a\":1}\n"},
		{"a line far in", numbers(1, 20), numbers(2, 20, "x"), "-1\n 2\n 3\n 4\n...\n 18\n 19\n 20\n+x\n"},
		{"moved", []byte("a\nb\nc"), []byte("b\nc\na"), "-a\n b\n c\n+a\n"},
		{"no JSON", []byte("a: 1\nb: 2"), []byte("a: 1\nb: 3"), " a: 1\n-b: 2\n+b: 3\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := Diff(test.a, test.b); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestDiffIsRight: what is not "+" is the first text, what is not "-" the second.
func TestDiffIsRight(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x\n", 3000)
	for _, texts := range [][2]string{
		{"a b c d", "b x d"},
		{"", "a b"},
		{"a a b a", "a b a a"},
		{"1 2 3 4 5 6 7 8 9", "9 8 7 6 5 4 3 2 1"},
		{long + "a", "b" + strings.ReplaceAll(long, "x", "y")}, // beyond the table
	} {
		a, b := strings.Fields(texts[0]), strings.Fields(texts[1])
		var from, to []string
		for _, l := range align(a, b) {
			if l.mark != '+' {
				from = append(from, l.text)
			}
			if l.mark != '-' {
				to = append(to, l.text)
			}
		}
		if strings.Join(from, " ") != strings.Join(a, " ") || strings.Join(to, " ") != strings.Join(b, " ") {
			t.Errorf("%.20q and %.20q are aligned as something else", texts[0], texts[1])
		}
	}
}
