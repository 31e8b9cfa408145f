package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"etcdkit/integration/history"
)

// A mutant is one small change that must not go unnoticed.
type mutant struct {
	name   string // what becomes of the package
	breaks string // the id of what is promised: see promises
	file   string // from the root of the repository
	old    string // a text that is there exactly once
	new    string // what takes its place
	pkg    string // the folder of the test that has to notice
	test   string // the full name of that test, as go test prints it
	hangs  bool   // the test cannot notice but by waiting for ever: then the clock kills
}

// String is the name with the package before it.
func (m mutant) String() string { return path.Base(path.Dir(m.file)) + ": " + m.name }

// mutants are all that there are. A new one is an entry in one of these tables.
func mutants() []mutant { return slices.Concat(ofSession, ofClaim, ofMirror, ofTheRest) }

// promises says what the ids mean: the invariants of package history, and what no history of a lock can show.
func promises() map[string]string {
	all := map[string]string{
		"C1": "a state of a mirror is the one that etcd had at one revision",
		"C2": "the revisions of a mirror never fall, and its history is that of one cluster",
		"C3": "a mirror misses nothing, whatever it was cut off from",
		"P1": "a mirror tells nothing twice",
		"E2": "a watch that ends, or cannot hear anything, is noticed",
		"R1": "an outage ends what was held, and after it all goes on by itself",
		"R2": "what may have happened is never taken for what did not",
		"W1": "no wake-up is lost",
	}
	for _, i := range history.Invariants {
		all[i.ID] = i.Says
	}
	return all
}

// errMoved says that a mutant no longer fits its file.
var errMoved = errors.New("the code has moved on")

// changed returns the file of the mutant with the change.
func (m mutant) changed(root string) ([]byte, error) {
	text, err := os.ReadFile(root + "/" + m.file) // not joined: see root in the tests
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMoved, err)
	}
	if n := strings.Count(string(text), m.old); n != 1 || m.old == m.new {
		return nil, fmt.Errorf("%w: %s has %q %d times, want once", errMoved, m.file, m.old, n)
	}
	return []byte(strings.Replace(string(text), m.old, m.new, 1)), nil
}
