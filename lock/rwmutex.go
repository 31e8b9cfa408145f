package lock

import (
	"context"
	"errors"

	"etcdkit/internal/claim"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// ErrNotExclusive says that a hold is none that can be downgraded: one of a reader, or of another lock.
var ErrNotExclusive = errors.New("not an exclusive hold of this lock")

// RWMutex is a name in etcd that one writer or any number of readers can have at a time, in the whole fleet. A Mutex of the same name is the
// same lock, and a writer. Writers and readers are served in the order in which they came, so that neither starve: who comes after a
// writer who waits has to wait, too. It keeps no state, is safe for concurrent use, and not reentrant: not even a reader may read
// again before it has unlocked, since a writer may have come in between.
type RWMutex struct {
	writer *Mutex
}

// NewRWMutex returns the readers-writer lock of that name. It touches nothing; a bad name is the error of the first call.
func NewRWMutex(s *session.Session, name string, opts ...Option) *RWMutex {
	return &RWMutex{writer: NewMutex(s, name, opts...)}
}

// Key is where the lock stands in etcd; see Mutex.Key. Who uses it with etcd's own package is a writer.
func (m *RWMutex) Key() string { return m.writer.Key() }

// Lock waits until nobody else holds the lock, as Mutex.Lock does.
func (m *RWMutex) Lock(ctx context.Context) (*Hold, error) { return m.writer.Lock(ctx) }

// TryLock takes the lock if nobody holds it or waits, and else returns a *HeldError at once, as Mutex.TryLock does.
func (m *RWMutex) TryLock(ctx context.Context) (*Hold, error) { return m.writer.TryLock(ctx) }

// RLock waits until no writer holds the lock, and none that came earlier waits; as long as ctx lives, which bounds the wait and not the
// hold. Readers of one session hold by one key as long as no writer waits: their tokens are the same then, and when the key is lost
// or deleted, all of them have lost.
func (m *RWMutex) RLock(ctx context.Context) (*Hold, error) {
	return m.writer.line.take(ctx, claim.Acquire, claim.Claim{Rule: claim.Shared})
}

// TryRLock takes the lock for reading if no writer holds it or waits for it, and else returns a *HeldError at once that names a writer. It
// costs a read, and a transaction unless a reader of this session holds already.
func (m *RWMutex) TryRLock(ctx context.Context) (*Hold, error) {
	return m.writer.line.take(ctx, claim.Try, claim.Claim{Rule: claim.Shared})
}

// Do locks for writing, runs fn once, and unlocks: see Mutex.Do.
func (m *RWMutex) Do(ctx context.Context, fn func(ctx context.Context, h *Hold) error) error {
	return do(ctx, m.Lock, fn)
}

// RDo locks for reading, runs fn once, and unlocks: see Mutex.Do.
func (m *RWMutex) RDo(ctx context.Context, fn func(ctx context.Context, h *Hold) error) error {
	return do(ctx, m.RLock, fn)
}

// Downgrade makes the hold of a writer one of a reader, with no moment in between in which another writer could come in: key, token, guard
// and context stay, and readers that wait first in line are let in. It returns ErrNotExclusive if h is not a writer's hold of this
// lock, and a *session.LostError if it is lost. With session.ErrUncertain no answer came while ctx lived: other readers may be in, so
// h is to be taken for a reader's, and Downgrade can be called again, until it is known.
func (m *RWMutex) Downgrade(ctx context.Context, h *Hold) error {
	if m.writer.line.bad != nil {
		return m.writer.line.wrap(m.writer.line.bad)
	}
	if !h.of(&m.writer.line) {
		return m.writer.line.wrap(ErrNotExclusive)
	}
	err := h.held.Downgrade(ctx)
	if errors.Is(err, claim.ErrShared) {
		err = ErrNotExclusive
	}
	if err != nil {
		return m.writer.line.wrap(retry.BothEnds(ctx, err))
	}
	return nil
}

// Owners lists who holds the lock and who waits for it, in their order; Owner.Read tells who reads. The readers of a session count
// once as long as they share a key.
func (m *RWMutex) Owners(ctx context.Context) ([]Owner, error) { return m.writer.Owners(ctx) }
