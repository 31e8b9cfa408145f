package config

import (
	"errors"
	"fmt"

	"etcdkit/internal/mirror"
	"etcdkit/session"
)

var (
	// ErrConflict says that somebody else wrote since the revision that a write was based on. It is always found through a
	// *ConflictError.
	ErrConflict = errors.New("somebody else has written it")
	// ErrRefused says that what stands in etcd cannot be used: it was not decoded, or is not valid. It is always found through a
	// *RefusedError.
	ErrRefused = errors.New("refused")
	// ErrTooLarge says that a write is larger than etcd can take in one request.
	ErrTooLarge = errors.New("too large")
	// ErrClosed says that the Value was closed.
	ErrClosed = errors.New("closed")
	// ErrRewound says that the history of the cluster is not the one that was followed: it was restored from a backup, or another cluster
	// answers. Values keep what they have, and a program that means to go on with what etcd has now must watch anew.
	ErrRewound = mirror.ErrRewound
)

// RefusedError tells which update was refused, and why. It unwraps to ErrRefused.
type RefusedError struct {
	Revision int64 // in which it was written
	Err      error // what was wrong with it
}

// Error says which revision is refused, and why.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("revision %d refused: %v", e.Revision, e.Err)
}

// Unwrap lets errors.Is find ErrRefused and what was wrong.
func (e *RefusedError) Unwrap() []error { return []error{ErrRefused, e.Err} }

// ConflictError tells what a write met. It unwraps to ErrConflict.
type ConflictError struct {
	Name   string            // of the value
	Rev    int64             // that the write was based on
	Theirs int64             // what stands there now; zero if nothing does
	Values map[string][]byte // what stands now under the paths that were to be written, "" being the path of a single value; what is absent is missing
	Yours  map[string][]byte // what was to be written
}

// Error names the value and both revisions.
func (e *ConflictError) Error() string {
	switch {
	case e.Theirs == 0:
		return fmt.Sprintf("config %q: %v: it is not there any more, and was to be at revision %d", e.Name, ErrConflict, e.Rev)
	case e.Rev == 0:
		return fmt.Sprintf("config %q: %v: it is there, at revision %d", e.Name, ErrConflict, e.Theirs)
	}
	return fmt.Sprintf("config %q: %v: it is at revision %d, and was to be at %d", e.Name, ErrConflict, e.Theirs, e.Rev)
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// wrap puts the name of the value before an error.
func wrap(name string, err error) error {
	if errors.Is(err, session.ErrBadName) {
		return err // it has the name in it, and may say how long that is
	}
	return fmt.Errorf("config %q: %w", name, err)
}
