package claim

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"etcdkit/internal/hub"
)

// places are the places that a session has in one line, where each caller has a key of its own. The lowest that is free is
// taken, so that names are used again and again. A place that still has something to settle is not free.
type places struct {
	mu    sync.Mutex // protects taken
	taken []bool
}

func (p *places) take() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := slices.Index(p.taken, false)
	if n < 0 {
		n = len(p.taken)
		p.taken = append(p.taken, false)
	}
	p.taken[n] = true
	return n
}

func (p *places) free(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[n] = false
}

// openFor opens the place that a claim stands at.
func openFor(h *hub.Hub, c Claim) *Line {
	if !c.Own {
		return open(h, c.Prefix)
	}
	all := "places in " + c.Prefix
	p := h.Share(all, func() (any, func()) { return new(places), nil }).(*places)
	n := p.take()
	id := fmt.Sprintf("place %d in %s", n, c.Prefix)
	return h.Share(id, func() (any, func()) {
		l := newLine(h, id, c.Prefix)
		l.place = n
		return l, func() {
			p.free(n)
			h.Unshare(all)
		}
	}).(*Line)
}

// enterGate waits until no earlier caller of the session waits in etcd for the same line, and returns what lets the next one in.
func enterGate(ctx context.Context, h *hub.Hub, c Claim) (leave func(), err error) {
	id := "gate of " + c.Prefix
	gate := h.Share(id, func() (any, func()) { return newLine(h, id, c.Prefix), nil }).(*Line) // its queue alone is used
	if _, err := gate.enter(ctx, c, nil, nil); err != nil {
		gate.close()
		return nil, err
	}
	return func() {
		gate.pass(turn{})
		gate.close()
	}, nil
}
