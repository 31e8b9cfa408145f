package migrate

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each block of Go in docs/migrate.md is a whole program: it is formatted, and it compiles. The go command does not see that this test
// reads the document: it can call an outdated result cached.
func TestProgramsCompile(t *testing.T) {
	t.Parallel()
	programs := parse(t, read(t))
	from, err := load(t.Context(), imported(programs))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		t.Run(p.title, func(t *testing.T) { // one after the other: they share what was checked
			if formatted, err := format.Source([]byte(p.text)); err != nil || string(formatted) != p.text {
				t.Errorf("not as gofmt has it (%v)", err)
			}
			if err := from.compiles(p.file); err != nil {
				t.Error(err)
			}
		})
	}
}

// A program that does not compile is found, so that the test above means something.
func TestWrongProgramsAreFound(t *testing.T) {
	t.Parallel()
	wrong := []struct{ text, want string }{
		{`package main; import "etcdkit/lock"; func main() { lock.NewMutexes() }`, "undefined: lock.NewMutexes"},
		{`package main; import "etcdkit/lock"; func main() { lock.NewMutex() }`, "not enough arguments"},
		{`package main; func main() { x := 1 }`, "declared and not used"},
		{`package main; import "context"; func main() {}`, "imported and not used"},
	}
	var document strings.Builder
	for _, w := range wrong {
		document.WriteString("```go\n" + w.text + "\n```\n")
	}
	programs := parse(t, document.String())
	from, err := load(t.Context(), imported(programs))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range programs {
		if err := from.compiles(p.file); err == nil || !strings.Contains(err.Error(), wrong[i].want) {
			t.Errorf("%s: %v, want that it is %s", p.text, err, wrong[i].want)
		}
	}
}

// program is a block of Go.
type program struct {
	title string // the heading above it, and its number under that
	text  string
	file  *ast.File
}

func read(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parse returns the programs in a Markdown text.
func parse(t *testing.T, text string) (programs []program) {
	t.Helper()
	heading, n := "", 0
	for _, match := range regexp.MustCompile("(?ms)^(#+ .*?)$|^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		switch {
		case match[1] != "":
			heading, n = strings.TrimLeft(match[1], "# "), 0
			continue
		case match[2] != "go":
			continue
		}
		n++
		p := program{title: fmt.Sprintf("%s %d", heading, n), text: match[3]}
		var err error
		if p.file, err = parser.ParseFile(fset, p.title, p.text, parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
		programs = append(programs, p)
	}
	if len(programs) == 0 {
		t.Fatal("no block of Go")
	}
	return programs
}

// imported returns the paths that the programs import.
func imported(programs []program) (paths []string) {
	for _, p := range programs {
		for _, spec := range p.file.Imports {
			paths = append(paths, strings.Trim(spec.Path.Value, `"`))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// fset has the positions of everything that is parsed; it is safe for concurrent use.
var fset = token.NewFileSet()
