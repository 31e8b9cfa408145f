package claim

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Modified returns the revision at which the key was last written, as far as is known. It is not sure while a Rewrite is under way or its
// outcome is not known.
func (h *Held) Modified() (rev int64, sure bool) {
	s := h.stake
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mod, !s.doubt
}

// CheckRevision tells whether the key was last written at that revision by this hold, as a transaction read it that will fail if the key is
// written after that. 0 is that of a key that is not there.
func (h *Held) CheckRevision(rev int64) error {
	known, sure := h.Modified() // after the read, so that nothing is read that is not known yet
	if rev > known && h.stake.touchable {
		if err := h.stake.learn(h.ctx); err != nil {
			return err
		}
		known, sure = h.Modified()
	}
	switch {
	case rev >= h.stake.rev && rev <= known:
		return nil // an older one of ours fails when it is committed
	case rev == 0 || sure:
		return &session.LostError{Reason: session.Deleted}
	}
	// A write of ours may have happened since. Nobody but our session uses this name for a key, and only once the hold is over: so it
	// is the key of this hold, if the hold is not over even now.
	return h.Err()
}

// learn reads at which revision the key was last written.
func (s *stake) learn(ctx context.Context) error {
	return s.line.hub.Do(ctx, "read "+s.key, func(ctx context.Context) error {
		resp, err := s.line.hub.Client.Get(ctx, s.key, clientv3.WithKeysOnly())
		if err == nil && s.isIn(resp.Kvs) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.mod = max(s.mod, resp.Kvs[0].ModRevision)
		}
		return err
	})
}

// Rewrite gives the key another value. Its create revision, which is token and guard, stays. It returns the loss if the hold is lost, and
// ErrUncertain if no answer came while ctx lived: then it may have happened, or may still, until the next Rewrite or the release.
func (h *Held) Rewrite(ctx context.Context, value string) error {
	s := h.stake
	select {
	case s.pen <- struct{}{}:
		defer func() { <-s.pen }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := hub.Either(ctx, h.ctx)
	defer cancel()
	sent := false
	var over error // that the hold is over: there is no use in trying again
	err := s.line.hub.Do(ctx, "write "+s.key, func(ctx context.Context) error {
		for {
			if over = h.Err(); over != nil {
				return nil
			}
			sent = true
			again, err := s.write(ctx, value)
			switch {
			case errors.Is(err, session.ErrLost):
				over = err
				return nil
			case errors.Is(err, rpctypes.ErrLeaseNotFound):
				s.line.hub.Suspect()
			}
			if !again {
				return err
			}
		}
	})
	switch {
	case err == nil:
		return over
	case retry.Of(err) == retry.Never || !sent:
		return err
	case h.Err() != nil:
		return h.Err()
	}
	return fmt.Errorf("%w: %w", session.ErrUncertain, err)
}

// write writes the value if nobody wrote the key since the revision that is known, so that a copy of it that is late writes nothing. It
// has to be called again if an earlier write of ours had happened after all.
func (s *stake) write(ctx context.Context, value string) (again bool, err error) {
	s.mu.Lock()
	known, doubted := s.mod, s.doubt
	s.doubt = true
	s.mu.Unlock()
	resp, err := s.line.hub.Client.Txn(ctx).
		If(present(s.key, s.rev), clientv3.Compare(clientv3.ModRevision(s.key), "=", known)).
		Then(clientv3.OpPut(s.key, value, clientv3.WithLease(s.epoch.ID()))).
		Else(clientv3.OpGet(s.key)).
		Commit()
	if err != nil {
		s.trust(err, doubted)
		return false, err
	}
	mod := resp.Header.Revision
	if !resp.Succeeded {
		kvs := resp.Responses[0].GetResponseRange().Kvs
		if len(kvs) == 0 || kvs[0].CreateRevision != s.rev {
			return false, &session.LostError{Reason: session.Deleted}
		}
		mod, again = kvs[0].ModRevision, string(kvs[0].Value) != value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mod, s.doubt = mod, again
	return again, nil
}

// trust takes note of a write that failed for certain: nothing is in doubt that was not before.
func (s *stake) trust(err error, doubted bool) {
	if class := retry.Of(err); class == retry.Never || class == retry.DidNot {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.doubt = doubted
	}
}

// ErrShared says that a hold is shared already.
var ErrShared = errors.New("it is shared already")

// Downgrade makes an exclusive hold a shared one, without a moment in between, and lets in who waited for that in this session. Token and
// guard stay. After ErrUncertain it may be shared or not, and can be called again.
func (h *Held) Downgrade(ctx context.Context) error {
	if !h.Exclusive() {
		return ErrShared
	}
	if err := h.Rewrite(ctx, shared); err != nil {
		return err
	}
	l := h.stake.line
	l.mu.Lock()
	defer l.mu.Unlock()
	h.stake.rule = Shared
	if l.stake == h.stake && h.stake.ctx.Err() == nil {
		l.shareLocked(h.stake)
	}
	return nil
}

// Exclusive tells whether nobody else holds beside this one, as far as is known.
func (h *Held) Exclusive() bool {
	l := h.stake.line
	l.mu.Lock()
	defer l.mu.Unlock()
	return !h.stake.rule.shares()
}
