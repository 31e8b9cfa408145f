package hub

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// bye is something to say before the lease is given back.
type bye struct {
	say func(ctx context.Context)
}

// OnClose has f called when the session closes: its epoch has ended by then, but not its lease. f is run beside others, and has to return
// when its ctx ends. undo takes it back; it does not wait for an f that runs.
func (h *Hub) OnClose(f func(ctx context.Context)) (undo func()) {
	b := &bye{say: f}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byes[b] = true
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.byes, b)
	}
}

// SayBye calls what was given to OnClose, and waits for it. ctx bounds it.
func (h *Hub) SayBye(ctx context.Context) {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.byes))
	clear(h.byes)
	h.mu.Unlock()
	var group sync.WaitGroup
	for _, b := range all {
		group.Go(func() { b.say(ctx) })
	}
	group.Wait()
}
