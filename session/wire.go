package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
)

// attempt bounds one request for a lease, so that one on a dead connection is given up for another.
const attempt = 5 * time.Second

// wire is what the keeper asks of etcd.
func (s *Session) wire() wire {
	return wire{
		grant:  s.grant,
		renew:  s.renew,
		drop:   s.giveBack,
		gone:   func(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) },
		denied: isDenied,
	}
}

func isDenied(err error) bool {
	return errors.Is(err, rpctypes.ErrPermissionDenied) || status.Code(err) == codes.PermissionDenied
}

// grant asks for a lease and puts the session key under it. A lease whose key is refused is given back.
func (s *Session) grant(ctx context.Context) (granted, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	g := granted{sent: now()}
	resp, err := s.client.Grant(ctx, int64(ceilSeconds(s.opts.ttl)/time.Second))
	if err != nil {
		return g, err
	}
	g.id, g.ttl, s.term = resp.ID, time.Duration(resp.TTL)*time.Second, resp.RaftTerm
	g.self = newIdentity(s.client, s.keys.Session(int64(g.id)), g.id, s.hub.Self.String())
	if err := g.self.put(ctx); err != nil {
		s.giveBack(ctx, g.id)
		return g, err
	}
	if g.ttl != ceilSeconds(s.opts.ttl) {
		s.opts.log.Warn("etcd granted another TTL than was asked for", "asked", s.opts.ttl, "granted", g.ttl)
	}
	return g, nil
}

// giveBack revokes a lease that is of no use.
func (s *Session) giveBack(ctx context.Context, id clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.grace)
	defer cancel()
	if err := s.revoke(ctx, id); err != nil {
		s.opts.log.Warn("a lease of no use runs out by itself", "lease", fmt.Sprintf("%x", int64(id)), "error", err)
	}
}

// errOldTerm says that a renewal was answered by a member whose raft term is below the highest seen: a leader that slept through its own
// replacement must not prolong anything.
var errOldTerm = errors.New("the answer of an older raft term")

// renew renews a lease. Only the keeper's goroutine grants and renews, so the highest term needs no lock; a new lease begins anew.
func (s *Session) renew(ctx context.Context, id clientv3.LeaseID) (time.Duration, error) {
	resp, err := s.client.KeepAliveOnce(ctx, id)
	if err != nil {
		return 0, err
	}
	if resp.RaftTerm < s.term {
		return 0, fmt.Errorf("%w: %d after %d", errOldTerm, resp.RaftTerm, s.term)
	}
	s.term = resp.RaftTerm
	return time.Duration(resp.TTL) * time.Second, nil
}

// revoke gives the lease back, sending that again until it is answered. A lease that is gone is as good as revoked.
func (s *Session) revoke(ctx context.Context, id clientv3.LeaseID) error {
	if id == clientv3.NoLease {
		return nil
	}
	return retry.Do(ctx, func(ctx context.Context) error {
		_, err := s.client.Revoke(ctx, id)
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil
		}
		return err
	})
}

// fence is the compare that voids a claim once the session key was written again.
func fence(e hub.Epoch) (clientv3.Cmp, int64) {
	self := e.(*Lease).self
	rev := self.fence()
	return clientv3.Compare(clientv3.ModRevision(self.key), "=", rev), rev
}

// logged adds the log to the trace.
func (s *Session) logged(t Trace) Trace {
	log := s.opts.log
	id := func(l clientv3.LeaseID) slog.Attr { return slog.String("lease", fmt.Sprintf("%x", int64(l))) }
	granted, lost, retried := t.Granted, t.Lost, t.Retried
	t.Granted = func(l clientv3.LeaseID, ttl time.Duration, again bool) {
		log.Info("session has a lease", id(l), "ttl", ttl, "again", again)
		granted(l, ttl, again)
	}
	t.Lost = func(l clientv3.LeaseID, err error) {
		if !errors.Is(err, ErrClosed) {
			log.Warn("session lost its lease", id(l), "error", err)
		}
		lost(l, err)
	}
	t.Retried = func(op string, err error) {
		log.Debug("request failed", "op", op, "error", err)
		retried(op, err)
	}
	return t
}
