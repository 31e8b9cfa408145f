package config

import (
	"errors"
	"fmt"

	"etcdkit/session"
)

var (
	// ErrConflict says that somebody else wrote since the revision that a write was based on. It is always found through a
	// *ConflictError.
	ErrConflict = errors.New("somebody else has written it")
	// ErrRefused says that what stands in etcd cannot be used: it was not decoded, or is not valid. It is always found through a
	// *RefusedError.
	ErrRefused = errors.New("refused")
	// ErrUnchanged says that a rollback would write what stands there already.
	ErrUnchanged = errors.New("it is what stands there already")
	// ErrTooLarge says that a write is larger than etcd can take in one request.
	ErrTooLarge = errors.New("too large")
	// ErrClosed says that the Value was closed.
	ErrClosed = errors.New("closed")
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

// wrap puts the name of the value before an error.
func wrap(name string, err error) error {
	if errors.Is(err, session.ErrBadName) {
		return err // it has the name in it, and may say how long that is
	}
	return fmt.Errorf("config %q: %w", name, err)
}
