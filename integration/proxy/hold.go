package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Held is one reply that is held, or will be. All that follows it on its call is held with it, trailers included; other calls on the
// same connection go on, and so do pings, settings and windows.
//
// What is held counts against the connection's window, 64 KiB at least: a reply that is larger stops the other calls too. If the
// connection is closed meanwhile, the reply is lost with it.
type Held struct {
	holds   *holds
	n       int           // which reply
	streams bool          // those of unary calls do not count
	held    chan struct{} // closed when it is held

	came  int    // replies so far; this and what follows is protected by holds.mu
	calls *calls // of the connection where it is held; nil before and after
	call  *call
}

// HoldReply holds the nth reply from now on to any client: 1 is the next. A reply is one gRPC message, the answer to a unary call or one of
// those on a stream. One that waits behind another one that is held counts when that is released.
func (p *Proxy) HoldReply(n int) *Held { return p.hold(n, false) }

// HoldStreamReply is HoldReply where only those replies count for which the client may still send requests: of watches and of
// renewals. The first reply on a watch says that it was created.
func (p *Proxy) HoldStreamReply(n int) *Held { return p.hold(n, true) }

func (p *Proxy) hold(n int, streams bool) *Held {
	h := &Held{holds: &p.holds, n: n, streams: streams, held: make(chan struct{})}
	p.holds.mu.Lock()
	defer p.holds.mu.Unlock()
	p.holds.pending = append(p.holds.pending, h)
	return h
}

// Wait returns nil once the reply is held, and an error that says how many came if ctx ends before that.
func (h *Held) Wait(ctx context.Context) error {
	select {
	case <-h.held:
		return nil
	case <-ctx.Done():
	}
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	return fmt.Errorf("proxy: reply %d was to be held, and %d came: %w", h.n, h.came, context.Cause(ctx))
}

// Release lets go on, in order, what is held; or sees to it that nothing will be. It is true if something was held, on a connection that is
// still there: else what a test shows would be void.
func (h *Held) Release() bool {
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	h.holds.pending = slices.DeleteFunc(h.holds.pending, func(other *Held) bool { return other == h })
	c := h.calls
	if c == nil {
		return false
	}
	h.call.kept--
	h.calls, h.call = nil, nil
	select {
	case c.wake <- struct{}{}:
	default: // it is awake, and will see this too
	}
	return !c.closed
}

// holds is what is to be held on any connection of a proxy.
type holds struct {
	mu      sync.Mutex // protects pending, each Held, and the calls of each connection
	pending []*Held    // that hold nothing yet
}

// countLocked counts replies that begin on a call, and holds it for each whose reply is among them.
func (h *holds) countLocked(c *calls, s *call, replies int) {
	h.pending = slices.DeleteFunc(h.pending, func(held *Held) bool {
		if held.streams && s.asked {
			return false
		}
		held.came += replies
		if held.came < held.n {
			return false
		}
		held.calls, held.call = c, s
		s.kept++
		close(held.held)
		return true
	})
}
