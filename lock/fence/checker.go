package fence

import (
	"errors"
	"fmt"
	"sync"

	"etcdkit/session"
)

// ErrStale says that a token is lower than one that was seen before. It is always found through a *StaleError.
var ErrStale = errors.New("stale token")

// StaleError tells which token was refused, and because of which. It unwraps to ErrStale.
type StaleError struct {
	Token   session.Token // the one that was refused
	Highest session.Token // the highest one seen before, 0 if there was none
}

// Error names both tokens.
func (e *StaleError) Error() string {
	if e.Highest == 0 {
		return fmt.Sprintf("stale token %d: no lock gives such a token", e.Token)
	}
	return fmt.Sprintf("stale token %d: %d was seen before", e.Token, e.Highest)
}

// Unwrap lets errors.Is find ErrStale.
func (e *StaleError) Unwrap() error { return ErrStale }

// Checker guards one resource: it remembers the highest token that it was shown. The zero value is ready, and remembers nothing. It
// may be used by several goroutines, and must not be copied after first use.
type Checker struct {
	mu      sync.Mutex    // protects highest
	highest session.Token // of those that were let through
}

// Check returns nil for a token at least as high as every one before, and remembers it; otherwise a *StaleError. A token below 1 comes
// from no lock, most likely from a request that had none, and is always stale.
//
// A nil is true for the moment of the call only. Call it inside the critical section or transaction that also does the write:
// with a gap in between, somebody newer could be let through and write first.
func (c *Checker) Check(token session.Token) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if token < max(c.highest, 1) {
		return &StaleError{Token: token, Highest: c.highest}
	}
	c.highest = token
	return nil
}
