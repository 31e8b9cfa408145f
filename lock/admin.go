package lock

import (
	"context"
	"errors"
	"fmt"

	"etcdkit/internal/claim"
	"etcdkit/session"
)

// ErrFree says that nobody holds the lock.
var ErrFree = errors.New("nobody holds it")

// Info is one lock that is held, as List finds it.
type Info struct {
	Name    string
	Holder  Owner // of several readers, the first
	Waiters int   // sessions, not callers
}

// List returns the locks that are held under the session's prefix, in the order of their names. It reads in pages at one revision. Locks at
// a key of their own (WithKey) are not among them, since nothing tells those from other keys.
func List(ctx context.Context, s *session.Session) ([]Info, error) {
	h := s.Hub()
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("lock: list: %w", err)
	}
	groups, err := claim.List(ctx, h, kind)
	if err != nil {
		return nil, fmt.Errorf("lock: list: %w", err)
	}
	list := make([]Info, len(groups))
	for i, g := range groups {
		list[i] = Info{Name: g.Name, Holder: newOwner(g.Head), Waiters: g.Keys - max(g.Readers, 1)}
	}
	return list, nil
}

// Owners lists who holds the lock of that name and who waits for it: see Mutex.Owners.
func Owners(ctx context.Context, s *session.Session, name string, opts ...Option) ([]Owner, error) {
	return NewMutex(s, name, opts...).Owners(ctx)
}

// Break takes the lock from who holds it, and tells from whom: it deletes the holder's key, if that is still the one it found; of several
// readers' keys, the oldest. The
// holder's context ends as soon as it sees that, some milliseconds later, and nothing but Guard and the token protect in between. It
// returns ErrFree if nobody holds the lock, or the holder let go of it at the same moment.
func Break(ctx context.Context, s *session.Session, name string, opts ...Option) (Owner, error) {
	m := NewMutex(s, name, opts...)
	l := &m.line
	if l.bad != nil {
		return Owner{}, l.wrap(l.bad)
	}
	broken, err := claim.Break(ctx, l.hub, l.key+"/")
	switch {
	case errors.Is(err, claim.ErrEmpty):
		return newOwner(broken), l.wrap(ErrFree)
	case err != nil:
		return newOwner(broken), l.wrap(fmt.Errorf("break: %w", err))
	}
	return newOwner(broken), nil
}
