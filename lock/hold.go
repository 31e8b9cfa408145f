package lock

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/internal/claim"
	"etcdkit/session"
)

// Hold is a lock that is held, until it is unlocked or lost. It is safe for concurrent use.
type Hold struct {
	held *claim.Held
	line *line
}

// Context ends before the lease can, before a release is sent, and as soon as it is seen that somebody deleted the key. Its cause is a
// *session.LostError, session.ErrClosed or session.ErrReleased. It has the values of the context that the lock was asked for
// with, not its end.
func (h *Hold) Context() context.Context { return h.held.Context() }

// Err is nil while the lock is certainly held. It reads both clocks, so it is right even where the process was stopped and no timer could
// end the context yet.
func (h *Hold) Err() error {
	if err := h.held.Err(); err != nil {
		return h.wrap(err)
	}
	return nil
}

// Token is the fencing token: it is higher than that of every earlier exclusive hold of this lock. Readers may share one, so that of a reader
// may be lower than that of another one who came before: what checks tokens is for writers, or for each kind apart.
func (h *Hold) Token() session.Token { return h.held.Token() }

// Guard is a compare that is true as long as this hold's key is there. A transaction with it changes nothing once the lock was lost, broken
// or unlocked, whatever this process believes:
//
//	resp, err := client.Txn(h.Context()).If(h.Guard()).Then(put).Commit()
//	if err == nil && !resp.Succeeded { ... } // lost
func (h *Hold) Guard() clientv3.Cmp { return h.held.Guard() }

// CheckSTM is Guard inside of concurrency.STM: it makes the commit depend on the hold's key, and returns a *session.LostError if the
// key is gone already. It protects nothing under the isolation level ReadCommitted, which checks no reads.
func (h *Hold) CheckSTM(stm concurrency.STM) error {
	if err := h.held.CheckRevision(stm.Rev(h.held.Key())); err != nil {
		return h.wrap(err)
	}
	return nil
}

// Unlock ends the hold's context, then deletes its key, or passes the lock to the next caller in this process. It waits for the answer as
// long as ctx lives, and if ctx is over already, which is usual in a defer, for a second (session.WithGrace); never past the
// deadline of the lease.
//
// It returns nil when the deletion is acknowledged and when it is called again; a *session.LostError if the lock had been lost,
// session.ErrClosed if the session was closed before; and session.ErrUncertain if no answer came: then the deletion is tried again in the background until the session closes, and at the
// latest the key goes with the lease.
func (h *Hold) Unlock(ctx context.Context) error {
	if err := h.held.Release(ctx); err != nil {
		return h.wrap(fmt.Errorf("unlock: %w", err))
	}
	return nil
}

// wrap puts the name of the lock before an error.
func (h *Hold) wrap(err error) error { return fmt.Errorf("%s %q: %w", h.line.kind, h.line.name, err) }

// of tells whether it is a hold of this line, in this session.
func (h *Hold) of(l *line) bool {
	return h != nil && h.line.hub == l.hub && h.line.kind == l.kind && h.line.key == l.key
}
