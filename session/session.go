package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/internal/retry"
)

// Token is a fencing token: it grows with every exclusive grant of a name. Hand it to what the holder works on, and let that refuse
// a token lower than one it has seen (package lock/fence).
type Token int64

// Session is what a program opens once and gives to everything else of the kit: an etcd client, a key prefix, and one lease that
// is kept alive for as long as the session is. It is safe for concurrent use.
type Session struct {
	client *clientv3.Client
	opts   options
	keys   keyspace.Space
	bad    error // what is wrong with the options: the error of every call

	hub    *hub.Hub
	keeper *keeper
	start  sync.Once // the keeper's goroutine
	term   uint64    // the highest raft term that a renewal was answered in; for the keeper's goroutine alone

	mu     sync.Mutex    // protects what follows
	closed chan struct{} // made by the first Close, closed when it has done its work
	result error         // of the first Close
}

// New returns a session on the user's client, which it neither changes nor closes. New touches nothing: the lease is granted when
// something first needs it, and a bad option is the error of the first call.
func New(client *clientv3.Client, opts ...Option) *Session {
	s := &Session{client: client, opts: defaults()}
	for _, o := range opts {
		o(&s.opts)
	}
	s.keys, s.bad = s.opts.check()
	if client == nil {
		s.bad = errors.New("client: must not be nil")
	}
	trace := s.opts.trace.filled()
	s.hub = hub.New(hub.Config{
		Client: client, Keys: s.keys, Log: s.opts.log, Grace: s.opts.grace, TTL: s.opts.ttl,
		Self: hub.Describe(s.opts.labels),
		Hooks: hub.Hooks{
			Queued:   trace.Queued,
			Waiting:  trace.Waiting,
			Acquired: func(key string, token int64, d time.Duration) { trace.Acquired(key, Token(token), d) },
			Released: func(key string, token int64, d time.Duration) { trace.Released(key, Token(token), d) },
			Retried:  trace.Retried,
		},
		Check:    s.check,
		Epoch:    func(ctx context.Context) (hub.Epoch, error) { return s.epoch(ctx) },
		Fence:    fence,
		FenceKey: func(e hub.Epoch) string { return e.(*Lease).self.key },
		Refence: func(ctx context.Context, e hub.Epoch, stale int64) error {
			return e.(*Lease).self.refresh(ctx, stale, s.hub.Go)
		},
		Suspect: func() { s.keeper.doubt() },
	})
	s.keeper = newKeeper(s.wire(), s.opts.allow, s.logged(trace))
	return s
}

// Lease returns the live epoch of the session's lease. The first call grants the lease; after a loss it waits for the next epoch.
// It waits as long as ctx does, and then says what was in the way; a refusal that waiting cannot mend is an error at once.
func (s *Session) Lease(ctx context.Context) (*Lease, error) {
	l, err := s.epoch(ctx)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return l, nil
}

// epoch is Lease with an error that callers in the kit put their own name before.
func (s *Session) epoch(ctx context.Context) (*Lease, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.start.Do(func() { s.hub.Go(s.keeper.run) })
	l, err := s.keeper.wait(ctx)
	if err != nil && !errors.Is(err, ErrClosed) {
		return nil, fmt.Errorf("no lease from etcd at %s: %w", strings.Join(s.client.Endpoints(), ", "), err)
	}
	return l, err
}

// check tells whether the session can be used.
func (s *Session) check() error {
	if s.bad != nil {
		return s.bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil {
		return ErrClosed
	}
	return nil
}

// Healthy is nil while the session is of use: open, and with a live lease if it ever needed one. It asks nobody, so it suits probes.
func (s *Session) Healthy() error {
	if err := s.check(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if err := s.keeper.health(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

// Margin is how long everything that is held would last if no renewal came through any more, and zero when no lease is live. It starts
// at nine tenths of the TTL with each renewal, and falls by a third of the TTL until the next, while all is well.
func (s *Session) Margin() time.Duration { return s.keeper.margin() }

// Close ends everything that is held and revokes the lease, so that what was held is free at once. It waits for the answer as
// long as ctx lives, or for the grace (WithGrace) if ctx is over already, and never past the deadline of the lease, or the grace if that
// has passed; without an answer it returns ErrUncertain, and the lease runs out by itself. The client stays open. A second call returns what the first one did.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	first := s.closed == nil
	if first {
		s.closed = make(chan struct{})
	}
	closed := s.closed
	s.mu.Unlock()

	if !first {
		ctx, cancel := s.hub.ReleaseContext(ctx, time.Time{})
		defer cancel()
		select {
		case <-closed:
			return s.result
		case <-ctx.Done():
			return fmt.Errorf("session: close: %w: %w", ErrUncertain, context.Cause(ctx))
		}
	}
	defer close(closed)
	if s.bad == nil {
		s.result = s.shutdown(ctx)
	}
	return s.result
}

// shutdown is what the first Close does.
func (s *Session) shutdown(ctx context.Context) error {
	id, deadline := s.keeper.end(ErrClosed)
	if deadline.IsZero() {
		deadline = time.Now().Add(s.opts.grace) // the lease may be alive for all we know, so ask, but not for long
	}
	over := ctx.Err() != nil
	ctx, cancel := s.hub.ReleaseContext(ctx, deadline)
	defer cancel()
	stop := context.AfterFunc(s.client.Ctx(), cancel) // a closed client answers nothing any more
	defer stop()

	if id != clientv3.NoLease {
		s.sayBye(ctx, deadline, over)
	}
	revoked := s.revoke(ctx, id)
	if revoked != nil {
		_ = s.hub.Idle(ctx) // then what the janitor still deletes counts
	}
	stopped := s.hub.Close(ctx, ErrClosed)
	if revoked != nil {
		return fmt.Errorf("session: close: lease %x runs out by itself: %w: %w", int64(id), ErrUncertain, revoked)
	}
	if stopped != nil {
		return fmt.Errorf("session: close: still stopping: %w", stopped)
	}
	return nil
}

// sayBye lets those who have to write something before the lease is revoked do so. It leaves half of the time for the revocation.
func (s *Session) sayBye(ctx context.Context, deadline time.Time, over bool) {
	left := time.Until(deadline)
	if end, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(end))
	}
	if over {
		left = min(left, s.opts.grace)
	}
	ctx, cancel := retry.Within(ctx, left/2)
	defer cancel()
	s.hub.SayBye(ctx)
}

// Hub is for the packages of the kit alone: its type is internal and its methods come and go.
func (s *Session) Hub() *hub.Hub { return s.hub }
