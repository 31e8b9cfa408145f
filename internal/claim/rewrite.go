package claim

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

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
	sent := false
	err := s.line.hub.Do(ctx, "write "+s.key, func(ctx context.Context) error {
		for {
			if err := h.Err(); err != nil {
				return err
			}
			sent = true
			again, err := s.write(ctx, value)
			if !again {
				return err
			}
		}
	})
	switch {
	case err == nil || errors.Is(err, session.ErrLost) || retry.Of(err) == retry.Never || !sent:
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
	known := s.mod
	s.doubt = true
	s.mu.Unlock()
	resp, err := s.line.hub.Client.Txn(ctx).
		If(present(s.key, s.rev), clientv3.Compare(clientv3.ModRevision(s.key), "=", known)).
		Then(clientv3.OpPut(s.key, value, clientv3.WithLease(s.epoch.ID()))).
		Else(clientv3.OpGet(s.key)).
		Commit()
	if err != nil {
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
	if !again {
		s.value = value
	}
	return again, nil
}

// Downgrade makes an exclusive hold a shared one, without a moment in between, and lets in who waited for that in this session. Token and
// guard stay.
func (h *Held) Downgrade(ctx context.Context) error {
	if err := h.Rewrite(ctx, shared); err != nil {
		return err
	}
	l := h.stake.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stake == h.stake && h.stake.ctx.Err() == nil {
		h.stake.rule = Shared
		l.admitLocked(h.stake)
	}
	return nil
}

// Exclusive tells whether nobody else holds beside this one.
func (h *Held) Exclusive() bool {
	l := h.stake.line
	l.mu.Lock()
	defer l.mu.Unlock()
	return !h.stake.rule.shares()
}
