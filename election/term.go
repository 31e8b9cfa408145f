package election

import (
	"context"
	"errors"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/internal/claim"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Term is the time in which a candidate leads, until it resigns, hands over or loses. It is safe for concurrent use.
type Term struct {
	election *Election
	held     *claim.Held
	run      *run          // that the term was won for; nil for Campaign
	served   chan struct{} // closed when Run's function has returned; nil for Campaign
	left     chan struct{} // closed when whoever ended the term has let go of it
	outcome  error         // of that; not before left is closed

	mu         sync.Mutex // protects what follows
	ended      bool       // by Resign, by Transfer or by an attendant, who lets go of it
	closed     bool       // no more attendants
	attendants sync.WaitGroup
}

func newTerm(e *Election, held *claim.Held, run *run) *Term {
	t := &Term{election: e, held: held, run: run, left: make(chan struct{})}
	if run != nil {
		t.served = make(chan struct{})
	}
	timer := time.AfterFunc(attendAfter, func() { t.attend(t.serveRequests) })
	context.AfterFunc(held.Context(), func() { timer.Stop() })
	if e.opts.preempt {
		t.attend(t.yieldToBetter)
	}
	return t
}

// Context ends before the lease can, before the term's key is let go of, and as soon as it is seen that somebody deleted the key. Its cause
// is a *session.LostError or session.ErrClosed, or wraps session.ErrReleased (Resign, Transfer, a request, a better
// candidate) or ErrUnhealthy. It has the values of the context that was campaigned with, not its end.
func (t *Term) Context() context.Context { return t.held.Context() }

// Err is nil while this candidate certainly leads. It reads both clocks, so it is right even where the process was stopped and no timer
// could end the context yet.
func (t *Term) Err() error {
	if err := t.held.Err(); err != nil {
		return t.election.wrap(err)
	}
	return nil
}

// Token is the fencing token: it is higher than that of every earlier leader of this election.
func (t *Term) Token() session.Token { return t.held.Token() }

// Guard is a compare that is true as long as the leader's key is there. A transaction with it changes nothing once the term was lost, ended
// by somebody else, or resigned, whatever this process believes:
//
//	resp, err := client.Txn(t.Context()).If(t.Guard()).Then(put).Commit()
//	if err == nil && !resp.Succeeded { ... } // lost
func (t *Term) Guard() clientv3.Cmp { return t.held.Guard() }

// CheckSTM is Guard inside of concurrency.STM: it makes the commit depend on the leader's key, and returns a *session.LostError if the
// key is gone already. A Proclaim while the transaction runs makes it run again. It protects nothing under the isolation level
// ReadCommitted, which checks no reads.
func (t *Term) CheckSTM(stm concurrency.STM) error {
	if err := t.held.CheckRevision(stm.Rev(t.held.Key())); err != nil {
		return t.election.wrap(err)
	}
	return nil
}

// Proclaim changes the leader's value, which observers are told. Token and guard stay. It returns a *session.LostError if the term is
// lost, and session.ErrUncertain if no answer came while ctx lived; sent again, it does no harm. The next term begins
// with the candidate's own value again.
func (t *Term) Proclaim(ctx context.Context, value string) error {
	if err := checkValue(value); err != nil {
		return t.election.wrap(err)
	}
	if err := t.held.Rewrite(ctx, value); err != nil {
		return t.election.wrap(retry.BothEnds(ctx, err))
	}
	return nil
}

// lost tells whether the term ended by a loss, or with the session.
func (t *Term) lost() bool {
	cause := context.Cause(t.held.Context())
	return errors.Is(cause, session.ErrLost) || errors.Is(cause, session.ErrClosed)
}
