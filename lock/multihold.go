package lock

import (
	"context"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/internal/retry"
	"etcdkit/session"
)

// MultiHold is several locks that are held, until they are unlocked or the first of them is lost. It is safe for concurrent use.
type MultiHold struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	holds  []*Hold
}

// newMultiHold returns a hold of nothing with the values of ctx.
func newMultiHold(ctx context.Context) *MultiHold {
	h := new(MultiHold)
	h.ctx, h.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	return h
}

// add makes a lock one of those that are held.
func (h *MultiHold) add(one *Hold) {
	h.holds = append(h.holds, one)
	context.AfterFunc(one.Context(), func() { h.cancel(context.Cause(one.Context())) })
}

// Context ends as soon as one of the locks is lost, and before a release is sent; see Hold.Context.
func (h *MultiHold) Context() context.Context { return h.ctx }

// Err is nil while all of the locks are certainly held. It reads both clocks.
func (h *MultiHold) Err() error {
	for _, one := range h.holds {
		if err := one.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Tokens are the fencing tokens by the names of the locks; see Hold.Token.
func (h *MultiHold) Tokens() map[string]session.Token {
	tokens := make(map[string]session.Token, len(h.holds))
	for _, one := range h.holds {
		tokens[one.line.name] = one.Token()
	}
	return tokens
}

// Guards are the compares that are true together as long as all of the locks are held; see Hold.Guard:
//
//	client.Txn(h.Context()).If(h.Guards()...).Then(put).Commit()
func (h *MultiHold) Guards() []clientv3.Cmp {
	guards := make([]clientv3.Cmp, len(h.holds))
	for i, one := range h.holds {
		guards[i] = one.Guard()
	}
	return guards
}

// CheckSTM is Guards inside of concurrency.STM; see Hold.CheckSTM.
func (h *MultiHold) CheckSTM(stm concurrency.STM) error {
	for _, one := range h.holds {
		if err := one.CheckSTM(stm); err != nil {
			return err
		}
	}
	return nil
}

// Unlock ends the context and those of all locks, then releases them, all at once; see Hold.Unlock. It returns the errors of all that
// failed, joined, and nil when it is called again.
func (h *MultiHold) Unlock(ctx context.Context) error {
	for _, one := range h.holds {
		one.held.End(session.ErrReleased)
	}
	h.cancel(session.ErrReleased)
	errs := make([]error, len(h.holds))
	var releases sync.WaitGroup
	for i, one := range h.holds {
		releases.Go(func() { errs[i] = one.Unlock(ctx) })
	}
	releases.Wait()
	var err error
	for _, e := range errs {
		err = retry.Join(err, e)
	}
	return err
}
