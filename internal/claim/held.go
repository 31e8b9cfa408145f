package claim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Held is what one caller holds: a key that makes it so, and a context that ends before that can change.
type Held struct {
	stake *stake
	since time.Time

	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   func() bool // of the function that acts on a loss

	mu    sync.Mutex // protects what follows
	ended bool       // by a loss, or by End
	mine  bool       // by End
	told  bool       // Release was called, or the key given away
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

// held is one more who holds by the key, and was counted already.
func (s *stake) held(ctx context.Context, asked time.Time) *Held {
	h := &Held{stake: s, since: time.Now()}
	life, cancel := context.WithCancelCause(s.ctx)
	h.ctx, h.cancel = holdContext{life, ctx}, cancel
	s.line.hub.Hooks.Acquired(s.key, s.rev, h.since.Sub(asked))
	h.stop = context.AfterFunc(s.ctx, h.lost)
	return h
}

// Context ends when the hold does, with the cause: a *session.LostError, session.ErrClosed or what End was given.
func (h *Held) Context() context.Context { return h.ctx }

// Key is the key whose create revision is the token.
func (h *Held) Key() string { return h.stake.key }

// Token is the create revision of the key.
func (h *Held) Token() session.Token { return session.Token(h.stake.rev) }

// Guard is the compare that is true as long as the key is there.
func (h *Held) Guard() clientv3.Cmp { return present(h.stake.key, h.stake.rev) }

// Err is nil while the line is certainly held. It reads the clocks.
func (h *Held) Err() error {
	if h.ctx.Err() != nil {
		return context.Cause(h.ctx)
	}
	return h.stake.epoch.Err()
}

// Deadline is the moment until which the lease certainly lasts, as far as is known now.
func (h *Held) Deadline() time.Time { return h.stake.epoch.Deadline() }

// end ends the hold for the given cause. It is false if the hold has ended already.
func (h *Held) end(cause error, mine bool) bool {
	h.mu.Lock()
	first := !h.ended
	if first {
		h.ended, h.mine = true, mine
	}
	h.mu.Unlock()
	if first {
		h.cancel(cause)
		h.stake.line.hub.Hooks.Released(h.stake.key, h.stake.rev, time.Since(h.since))
	}
	return first
}

// lost runs when the key was lost before the hold ended.
func (h *Held) lost() {
	if h.end(context.Cause(h.stake.ctx), false) {
		h.stake.line.close()
	}
}

// End ends the context, and nothing else: what is left to do is a Release or a Transfer.
func (h *Held) End(cause error) {
	_ = h.stake.epoch.Err() // ends the epoch, and the hold with it, if the clocks are past the deadline but no timer has run yet
	if h.stop() {
		h.end(cause, true)
	}
}

// tell is true the first time that it is called.
func (h *Held) tell() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.told
	h.told = true
	return first
}

// isMine tells whether it was End that ended the hold.
func (h *Held) isMine() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mine
}

// Release ends the hold and deletes its key, or passes the line on within the session; if others hold by the same key, it is left to
// them. The context ends first. It waits for the answer as long as ctx lives (or the grace, if ctx is over already) and never past the
// deadline of the lease; without an answer it returns ErrUncertain and the janitor goes on. If the hold was lost before, it
// returns why, once. A second call returns nil.
func (h *Held) Release(ctx context.Context) error {
	if !h.tell() {
		return nil
	}
	h.End(session.ErrReleased)
	if !h.isMine() {
		<-h.ctx.Done()
		return context.Cause(h.ctx)
	}
	s := h.stake
	defer s.line.close()
	if !s.leave() {
		return nil
	}
	if !s.finish() { // lost since the hold has ended
		return context.Cause(s.ctx)
	}
	ctx, cancel := s.line.hub.ReleaseContext(ctx, s.epoch.Deadline())
	defer cancel()
	return h.explain(s.release(ctx))
}

// explain is the error of a release whose answer did not come.
func (h *Held) explain(err error) error {
	if err == nil || errors.Is(err, session.ErrLost) || errors.Is(err, session.ErrClosed) || retry.Of(err) == retry.Never {
		return err
	}
	if lost := h.stake.epoch.Err(); lost != nil {
		return lost
	}
	return fmt.Errorf("%w: %w", session.ErrUncertain, err)
}
