package claim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Held is a line that the session holds: the key that makes it so, and a context that ends before that can change.
type Held struct {
	line  *Line
	epoch hub.Epoch
	key   string
	rev   int64
	since time.Time

	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   func() bool // of the function that acts on a loss
	timer  *time.Timer // that begins to watch the key

	mu    sync.Mutex // protects what follows
	ended bool
	told  bool // Release was called
}

// holdContext ends with the hold and has the values of the context that the hold was asked for with.
type holdContext struct {
	context.Context
	values context.Context
}

// Value asks the hold's side first: that is where the context package looks for who cancels whom.
func (c holdContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}

// watchAfter is the age from which a hold watches its own key. Most holds are shorter, and cost nothing.
const watchAfter = 100 * time.Millisecond

// hold makes the front the holder with the entry of t. It returns nil if the epoch is over; the entry stays in t then.
func (l *Line) hold(ctx context.Context, e hub.Epoch, t *turn, asked time.Time) *Held {
	if e.Err() != nil {
		return nil
	}
	h := &Held{line: l, epoch: e, key: t.entry.key, rev: t.entry.rev, since: time.Now()}
	life, cancel := context.WithCancelCause(e.Context())
	h.ctx, h.cancel = holdContext{life, ctx}, cancel
	l.mu.Lock()
	l.held = h
	l.mu.Unlock()
	l.hub.Hooks.Acquired(h.key, h.rev, h.since.Sub(asked))
	h.timer = time.AfterFunc(watchAfter, func() { l.hub.Go(h.watch) })
	h.stop = context.AfterFunc(life, h.lost)
	return h
}

// Context ends when the hold does, with the cause: a *session.LostError, session.ErrClosed or session.ErrReleased.
func (h *Held) Context() context.Context { return h.ctx }

// Key is the key whose create revision is the token.
func (h *Held) Key() string { return h.key }

// Token is the create revision of the key.
func (h *Held) Token() session.Token { return session.Token(h.rev) }

// Guard is the compare that is true as long as the key is there.
func (h *Held) Guard() clientv3.Cmp { return present(h.key, h.rev) }

// Err is nil while the line is certainly held. It reads the clocks.
func (h *Held) Err() error {
	if h.ctx.Err() != nil {
		return context.Cause(h.ctx)
	}
	return h.epoch.Err()
}

// end ends the hold for the given cause. It is false if the hold has ended already.
func (h *Held) end(cause error) bool {
	h.mu.Lock()
	first := !h.ended
	h.ended = true
	h.mu.Unlock()
	if first {
		h.timer.Stop()
		h.cancel(cause)
		h.line.hub.Hooks.Released(h.key, h.rev, time.Since(h.since))
	}
	return first
}

// lost runs when the context ended before a release: the line goes on without the holder. Its key, if it is still there, is deleted
// before anybody here is granted the line.
func (h *Held) lost() {
	if !h.end(nil) {
		return
	}
	t := turn{debt: &debt{epoch: h.epoch, key: h.key, rev: h.rev}}
	if cause := context.Cause(h.ctx); errors.Is(cause, session.ErrClosed) {
		t = turn{} // the lease is being revoked, and the key with it
	} else {
		h.line.hub.Log.Warn("lost a claim", "key", h.key, "error", cause)
	}
	h.line.pass(t)
	h.line.close()
}

// watch ends the hold when somebody else deletes its key.
func (h *Held) watch(context.Context) {
	var pause retry.Backoff
	for h.ctx.Err() == nil {
		gone, err := h.watchOnce()
		if gone {
			h.cancel(&session.LostError{Reason: session.Deleted})
			h.line.hub.Suspect() // perhaps the whole lease is gone
			return
		}
		h.line.hub.Log.Debug("the watch of a held key ended; opening another", "key", h.key, "error", err)
		if pause.Wait(h.ctx) != nil {
			return
		}
	}
}

// watchOnce is true if the key is seen to be gone.
func (h *Held) watchOnce() (bool, error) {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	hub := h.line.hub
	w, err := hub.Holds.Watch(ctx, hub.Client, h.key, clientv3.WithFilterPut())
	if err != nil {
		return false, err
	}
	resp, err := hub.Client.Get(ctx, h.key, clientv3.WithKeysOnly())
	if err != nil {
		return false, err
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision != h.rev {
		return true, nil
	}
	err = awaitDelete(ctx, w, h.rev)
	return err == nil, err
}

// Release ends the hold and deletes its key, or passes the line on within the session. The context ends first. It waits for the answer as
// long as ctx lives (or the grace, if ctx is over already) and never past the deadline of the lease; without an answer it returns
// ErrUncertain and the janitor goes on. If the hold was lost before, it returns why, once. A second call returns nil.
func (h *Held) Release(ctx context.Context) error {
	h.mu.Lock()
	again := h.told
	h.told = true
	h.mu.Unlock()
	if again {
		return nil
	}
	_ = h.epoch.Err() // ends the epoch, and the hold with it, if the clocks are past the deadline but no timer has run yet
	if !h.stop() || !h.end(session.ErrReleased) {
		<-h.ctx.Done()
		return context.Cause(h.ctx)
	}
	ctx, cancel := h.line.hub.ReleaseContext(ctx, h.epoch.Deadline())
	defer cancel()
	t, err := h.line.handOver(ctx, h)
	h.line.pass(t)
	h.line.close()
	return h.explain(err)
}

// explain is the error of a release whose answer did not come.
func (h *Held) explain(err error) error {
	if err == nil || errors.Is(err, session.ErrLost) || errors.Is(err, session.ErrClosed) || retry.Of(err) == retry.Never {
		return err
	}
	if lost := h.epoch.Err(); lost != nil {
		return lost
	}
	return fmt.Errorf("%w: %w", session.ErrUncertain, err)
}
