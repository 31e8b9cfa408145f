package main

import (
	"context"
	"sync"

	"etcdkit/election"
	"etcdkit/session"
)

// lookout tells for whom we wait, whenever our place in the line has changed.
type lookout struct {
	run  *electRun
	woke chan struct{} // has room for one: more would tell the same
	told session.Token // of the leader who was named last
}

func newLookout(r *electRun) *lookout { return &lookout{run: r, woke: make(chan struct{}, 1)} }

// wake is called when we begin to wait for a key ahead of ours, and must not block.
func (w *lookout) wake(string) {
	select {
	case w.woke <- struct{}{}:
	default:
	}
}

// watch tells it from now on, until the returned function is called.
func (w *lookout) watch(e *election.Election) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-w.woke:
				w.look(ctx, e)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// look reads who leads. If etcd does not answer there is nobody to name; the next change tells.
func (w *lookout) look(ctx context.Context, e *election.Election) {
	ctx, cancel := w.run.conn.request(ctx)
	defer cancel()
	leader, err := e.Leader(ctx)
	if err == nil && leader.Token != w.told && !e.IsLeader() {
		w.tell(leader)
	}
}

func (w *lookout) tell(leader *election.Leader) {
	w.told = leader.Token
	notef(w.run.cmd, "waiting: election %q: led by %s", w.run.cmd.Flags().Arg(0), nameOf(leader))
}
