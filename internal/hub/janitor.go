package hub

import (
	"context"
	"log/slog"
	"sync"

	"etcdkit/internal/retry"
)

// janitor counts the clean-ups that are under way.
type janitor struct {
	mu   sync.Mutex // protects what follows
	jobs int
	idle chan struct{} // closed when jobs falls to zero; nil while there are none
}

// CleanUp finishes in the background what a caller had no time left for. f is run again, with backoff, until it returns nil or the
// session closes; the lease is the last resort.
func (h *Hub) CleanUp(what string, f func(ctx context.Context) error) {
	h.janitor.add()
	ran := h.Go(func(ctx context.Context) {
		defer h.janitor.done()
		var pause retry.Backoff
		level := slog.LevelWarn // once; it may be tried for as long as an outage lasts
		for {
			err := f(ctx)
			if err == nil {
				return
			}
			if ctx.Err() != nil {
				return
			}
			h.Log.Log(ctx, level, "clean-up failed, will be tried again", "what", what, "error", err)
			level = slog.LevelDebug
			if pause.Wait(ctx) != nil {
				return
			}
		}
	})
	if !ran {
		h.janitor.done()
	}
}

// Idle waits until no clean-up is under way.
func (h *Hub) Idle(ctx context.Context) error {
	h.janitor.mu.Lock()
	idle := h.janitor.idle
	h.janitor.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (j *janitor) add() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.jobs++; j.jobs == 1 {
		j.idle = make(chan struct{})
	}
}

func (j *janitor) done() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.jobs--; j.jobs == 0 {
		close(j.idle)
		j.idle = nil
	}
}
