package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// small returns a bench for a module of one function and its tests.
func small(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module small\n",
		"a.go":   "package small\n\nfunc Double(n int) int { return 2 * n }\n",
		"a_test.go": `package small

import "testing"

func TestOne(t *testing.T) {
	if Double(1) != 2 {
		t.Error("not two")
	}
}

func TestZero(t *testing.T) {
	if Double(0) != 0 {
		select {}
	}
}

func TestBad(t *testing.T) { t.Error("always") }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &bench{root: dir, dir: t.TempDir(), log: t.Output(), patience: time.Second}
}

// change is a mutant of the one function.
func change(to, test string) mutant {
	return mutant{name: to, file: "a.go", old: "2 * n", new: to, pkg: ".", test: test}
}

// One mutant for each verdict, so that none is given for another.
func TestEachVerdict(t *testing.T) {
	t.Parallel()
	waits := change("n + 2", "TestZero")
	waits.hangs = true
	tests := []struct {
		mutant mutant
		want   verdict
		words  string
	}{
		{change("3 * n", "TestOne"), killed, "a_test.go:7: not two"},
		{change("n + n", "TestOne"), survived, ""},
		{change("2 * m", "TestOne"), broken, "a.go:3:37: undefined: m"},
		{waits, killed, "panic: test timed out"},
		{mutant{name: "gone", file: "a.go", old: "4 * n", new: "5 * n", pkg: ".", test: "TestOne"}, moved, "the code has moved on"},
	}
	var all []mutant
	for _, test := range tests {
		all = append(all, test.mutant)
	}
	results, err := small(t).all(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, test := range tests {
		if got := results[i]; got.verdict != test.want || !strings.Contains(got.words, test.words) {
			t.Errorf("%s: %s, want %s with %q", test.mutant.name, got, test.want, test.words)
		}
	}
	if err := printTable(t.Output(), results, 0); err == nil || !strings.Contains(err.Error(), "3 of 5") {
		t.Errorf("the table's error: %v", err)
	}
}

func TestNothingIsProvenWithoutControls(t *testing.T) {
	t.Parallel()
	b := small(t)
	for test, want := range map[string]string{"TestBad": "always", "TestNone": "did not run"} {
		if _, err := b.all(t.Context(), []mutant{change("3 * n", test)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", test, err, want)
		}
	}
}

// interrupter ends a run as soon as it tells of a mutant.
type interrupter context.CancelFunc

func (i interrupter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "killed") {
		i()
	}
	return len(p), nil
}

func TestAnInterruptIsNoVerdict(t *testing.T) {
	t.Parallel()
	b := small(t)
	var all []mutant
	for n := range 8 {
		all = append(all, change(strings.Repeat("2 + ", n)+"n", "TestOne"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.log = interrupter(cancel)
	results, err := b.all(ctx, all)
	if err != nil || len(results) == 0 || len(results) == len(all) {
		t.Errorf("%d results, %v", len(results), err)
	}
	for _, r := range results {
		if r.verdict != killed {
			t.Errorf("%s", r)
		}
	}
	if _, err := b.all(ctx, all); !errors.Is(err, context.Canceled) {
		t.Errorf("after the interrupt: %v", err)
	}
}
