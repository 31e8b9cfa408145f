package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/session"
)

// kind is the segment under which the keys of locks stand.
const kind = "lock"

// Mutex is a name in etcd that one holder at a time can have, in the whole fleet. It keeps no state: what is held is a Hold, and
// any number of Mutex values of one name are the same lock. It is safe for concurrent use, and not reentrant.
type Mutex struct {
	hub  *hub.Hub
	name string
	key  string // without the slash before a slot
	bad  error  // what is wrong with the name or the options: the error of every call
}

// NewMutex returns the mutex of that name. It touches nothing; a bad name is the error of the first call.
func NewMutex(s *session.Session, name string, opts ...Option) *Mutex {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	m := &Mutex{hub: s.Hub(), name: name}
	m.key, m.bad = o.line(m.hub.Keys, name)
	return m
}

// Key is where the lock stands in etcd: `etcdctl lock` and concurrency.NewMutex stand in the same line when they are given this
// key. It is empty if the name is bad.
func (m *Mutex) Key() string { return m.key }

// Lock waits until the lock is held, for as long as ctx lives, also while etcd is unreachable or leases are lost; ctx bounds the wait
// and not the hold. It returns an error at once if etcd refuses (no permission, no space) or the session is closed. Callers
// are served in the order in which they came; those of one session queue in memory.
func (m *Mutex) Lock(ctx context.Context) (*Hold, error) {
	held, err := m.claim(ctx, claim.Acquire)
	if err != nil {
		return nil, m.wrap(bothEnds(ctx, err))
	}
	return &Hold{held: held, name: m.name}, nil
}

// TryLock takes the lock if it is free, and else returns a *HeldError at once. It costs nothing while somebody of this session holds or waits,
// one read while somebody else does (two more the first time, to learn who that is), and writes only when the lock looks free.
func (m *Mutex) TryLock(ctx context.Context) (*Hold, error) {
	held, err := m.claim(ctx, claim.Try)
	var busy *claim.BusyError
	if errors.As(err, &busy) {
		return nil, &HeldError{Name: m.name, Owner: newOwner(busy.Owner)}
	}
	if err != nil {
		return nil, m.wrap(bothEnds(ctx, err))
	}
	return &Hold{held: held, name: m.name}, nil
}

// claim runs one way to claim the mutex's line.
func (m *Mutex) claim(ctx context.Context, how func(context.Context, *hub.Hub, claim.Claim) (*claim.Held, error)) (*claim.Held, error) {
	if m.bad != nil {
		return nil, m.bad
	}
	return how(ctx, m.hub, claim.Claim{Prefix: m.key + "/"})
}

// Do locks, runs fn once, and unlocks, also if fn panics. The context that fn gets ends with ctx, and when the hold does: fn has to
// return then, and Do waits for it. Do returns what fn returned, joined with what Unlock returned: if the lock was lost before
// fn returned, what fn did may have happened beside another holder, unless it was guarded.
func (m *Mutex) Do(ctx context.Context, fn func(ctx context.Context, h *Hold) error) (err error) {
	h, err := m.Lock(ctx)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(session.ErrReleased)
	stop := context.AfterFunc(h.Context(), func() { cancel(context.Cause(h.Context())) })
	defer func() {
		stop()
		err = join(err, h.Unlock(ctx))
	}()
	return fn(inner, h)
}

// join is errors.Join in one line.
func join(err, also error) error {
	if err == nil || also == nil {
		return cmp.Or(err, also)
	}
	return fmt.Errorf("%w; %w", err, also)
}

// Owners lists who holds the lock and who waits for it, in their order; a session counts once, however many of its callers wait. The list
// is empty when the lock is free.
func (m *Mutex) Owners(ctx context.Context) ([]Owner, error) {
	if m.bad != nil {
		return nil, m.wrap(m.bad)
	}
	owners, err := claim.Owners(ctx, m.hub, m.key+"/")
	if err != nil {
		return nil, m.wrap(err)
	}
	list := make([]Owner, len(owners))
	for i, o := range owners {
		list[i] = newOwner(o)
	}
	return list, nil
}

// bothEnds lets errors.Is find that ctx ended as well as why, since callers ask for either.
func bothEnds(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		return fmt.Errorf("%w: %w", end, err)
	}
	return err
}

// wrap puts the name of the lock before an error, and the key where the right to it is missing.
func (m *Mutex) wrap(err error) error {
	if errors.Is(err, session.ErrBadName) {
		return err // it has the name in it, and may say how long that is
	}
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return fmt.Errorf("lock %q (keys below %q): %w", m.name, m.key+"/", err)
	}
	return fmt.Errorf("lock %q: %w", m.name, err)
}

// options of a lock.
type options struct {
	key *string
}

// Option changes a default of NewMutex.
type Option func(*options)

// WithKey puts the lock at an exact etcd key instead of one made from the prefix and the name, which is then only what errors say. It
// is the key that concurrency.NewMutex and `etcdctl lock` take, and the lock stands in the same line as theirs, so that a
// fleet can move over one program at a time. Like theirs, it also waits for the keys of a lock whose key lies below ("a" and "a/b").
func WithKey(key string) Option { return func(o *options) { o.key = &key } }

// line returns the key of a name's line.
func (o *options) line(keys keyspace.Space, name string) (string, error) {
	if o.key == nil {
		return keys.Line(kind, name)
	}
	return *o.key, keyspace.CheckKey(*o.key)
}
