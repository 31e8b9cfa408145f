package lock

import (
	"context"

	"etcdkit/internal/claim"
	"etcdkit/session"
)

// kind is the segment under which the keys of locks stand.
const kind = "lock"

// Mutex is a name in etcd that one holder at a time can have, in the whole fleet. It keeps no state: what is held is a Hold, and
// any number of Mutex values of one name are the same lock. It is safe for concurrent use, and not reentrant.
type Mutex struct {
	line line
}

// NewMutex returns the mutex of that name. It touches nothing; a bad name is the error of the first call.
func NewMutex(s *session.Session, name string, opts ...Option) *Mutex {
	return &Mutex{line: newLine(s, kind, name, opts)}
}

// Key is where the lock stands in etcd: `etcdctl lock` and concurrency.NewMutex stand in the same line when they are given this
// key. It is empty if the name is bad.
func (m *Mutex) Key() string { return m.line.key }

// Lock waits until the lock is held, for as long as ctx lives, also while etcd is unreachable or leases are lost; ctx bounds the wait
// and not the hold. It returns an error at once if etcd refuses (no permission, no space) or the session is closed. Callers
// are served in the order in which they came; those of one session queue in memory.
func (m *Mutex) Lock(ctx context.Context) (*Hold, error) {
	return m.line.take(ctx, claim.Acquire, claim.Claim{})
}

// TryLock takes the lock if it is free, and else returns a *HeldError at once. It costs nothing while somebody of this session holds or waits,
// one read while somebody else does (two more the first time, to learn who that is), and writes only when the lock looks free.
func (m *Mutex) TryLock(ctx context.Context) (*Hold, error) {
	return m.line.take(ctx, claim.Try, claim.Claim{})
}

// Do locks, runs fn once, and unlocks, also if fn panics. The context that fn gets ends with ctx, and when the hold does: fn has to
// return then, and Do waits for it. Do returns what fn returned, joined with what Unlock returned: if the lock was lost before
// fn returned, what fn did may have happened beside another holder, unless it was guarded.
func (m *Mutex) Do(ctx context.Context, fn func(ctx context.Context, h *Hold) error) error {
	return do(ctx, m.Lock, fn)
}

// Owners lists who holds the lock and who waits for it, in their order; a session counts once, however many of its callers wait. The list
// is empty when the lock is free.
func (m *Mutex) Owners(ctx context.Context) ([]Owner, error) {
	return m.line.owners(ctx, markReaders)
}

// markReaders says that those hold, too, who read beside the first.
func markReaders(_ context.Context, owners []claim.Owner) error {
	claim.MarkReaders(owners)
	return nil
}
