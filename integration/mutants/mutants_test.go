package main

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the folder of the repository, written as a path that begins with that of this module: the go command runs a test again when a file
// changes that it has read, but only for files of the test's own module, and it goes by the beginning of the path.
func root(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return here + "/../.."
}

// Every mutant still fits the code, and its killer is there. This runs nothing: it is what makes a stale mutant fail early.
func TestMutantsFitTheCode(t *testing.T) {
	t.Parallel()
	says, seen := promises(), make(map[string]bool)
	for _, m := range mutants() {
		if seen[m.String()] {
			t.Errorf("%s: the name is taken", m)
		}
		seen[m.String()] = true
		if says[m.breaks] == "" {
			t.Errorf("%s: nobody knows what %q is", m, m.breaks)
		}
		text, err := m.changed(root(t))
		if err != nil {
			t.Errorf("%s: %v", m, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		if name, _, _ := strings.Cut(m.test, "/"); !tests(t, m.pkg)[name] {
			t.Errorf("%s: there is no %s in %s", m, name, m.pkg)
		}
	}
}

// tests are the names of the test functions in a folder.
func tests(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	dir := root(t) + "/" + pkg
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(dir + "/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "func "); ok {
				name, _, _ = strings.Cut(name, "(")
				names[name] = true
			}
		}
	}
	return names
}

func TestATextMustBeThereOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("one two two"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, m := range []mutant{
		{file: "a.go", old: "three", new: "four"},
		{file: "a.go", old: "two", new: "three"},
		{file: "a.go", old: "one", new: "one"},
		{file: "b.go", old: "one", new: "two"},
	} {
		if _, err := m.changed(dir); !errors.Is(err, errMoved) {
			t.Errorf("%q in %s: %v", m.old, m.file, err)
		}
	}
	if text, err := (mutant{file: "a.go", old: "one", new: "three"}).changed(dir); err != nil || string(text) != "three two two" {
		t.Errorf("changed = %q, %v", text, err)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	exit := errors.New("exit status 1")
	for name, test := range map[string]struct {
		out  string
		err  error
		want finding
	}{
		"passes":        {"=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n", nil, finding{verdict: survived}},
		"fails":         {"--- FAIL: TestA (0.00s)\n    a_test.go:7: two holders\nFAIL\n", exit, finding{verdict: killed, words: "a_test.go:7: two holders"}},
		"panics":        {"=== RUN   TestA\npanic: nil map\n\ngoroutine 7\n", exit, finding{verdict: killed, words: "panic: nil map"}},
		"deadlock":      {"=== RUN   TestA\nfatal error: all goroutines are asleep - deadlock!\n", exit, finding{verdict: killed, words: "fatal error: all goroutines are asleep - deadlock!"}},
		"hangs":         {"=== RUN   TestA\npanic: test timed out after 8s\n", exit, finding{verdict: hung, words: "panic: test timed out after 8s"}},
		"another fails": {"--- FAIL: TestAB (0.00s)\n", exit, finding{verdict: void, words: "exit status 1: --- FAIL: TestAB (0.00s)"}},
		"no such test":  {"testing: warning: no tests to run\nPASS\n", nil, finding{verdict: void, words: "TestA did not run to its end: no such test, or it was skipped"}},
		"is skipped":    {"--- SKIP: TestA (0.00s)\nPASS\n", nil, finding{verdict: void, words: "TestA did not run to its end: no such test, or it was skipped"}},
		"no server":     {"cluster: shared cluster: no\n", exit, finding{verdict: void, words: "exit status 1: cluster: shared cluster: no"}},
	} {
		if got := judge("TestA", test.out, test.err); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
