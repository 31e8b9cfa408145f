package election

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
)

const (
	checkEvery = time.Second
	patience   = 5 * time.Second // for an answer
)

var errNoAnswer = fmt.Errorf("the check did not answer within %v", patience)

// health asks the check of one run. It is used by one goroutine at a time. The nil health always is well.
type health struct {
	check func(context.Context) error
	late  chan error // gets the answer of a check that nobody waited for any more; nil if there is none
}

func newHealth(check func(context.Context) error) *health {
	if check == nil {
		return nil
	}
	return &health{check: check}
}

// ask returns the answer of a check. There is never more than one at a time: as long as an earlier one goes on, that is no good answer.
func (h *health) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errNoAnswer)
	defer cancel()
	if h.late != nil {
		if _, err := await(ctx, h.late); err != nil {
			return err
		}
	}
	h.late = make(chan error, 1)
	go func(answer chan<- error) { answer <- h.check(ctx) }(h.late) // the next ask waits for it, or close
	answer, err := await(ctx, h.late)
	if err == nil {
		h.late = nil
	}
	return cmp.Or(err, answer)
}

// await receives an answer, or returns why there was none in time.
func await(ctx context.Context, answers <-chan error) (answer, err error) {
	select {
	case answer := <-answers:
		return answer, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// close waits for a check that is late.
func (h *health) close() {
	if h != nil && h.late != nil {
		<-h.late //nolint:errcheck // nobody asked any more
	}
}

// awaitHealth returns when the process is fit to lead, or ctx ends.
func (e *Election) awaitHealth(r *run) error {
	if r.health == nil {
		return nil
	}
	if err := e.usable(); err != nil {
		return err
	}
	ctx, cancel := hub.Either(r.ctx, e.hub.Context())
	defer cancel()
	var pause retry.Backoff
	for {
		err := r.health.ask(ctx)
		if err == nil {
			return nil
		}
		e.hub.Log.Warn("not healthy; not a candidate", "election", e.name, "error", err)
		if ended := pause.Wait(ctx); ended != nil {
			return fmt.Errorf("%w (%w: %w)", ended, ErrUnhealthy, err)
		}
	}
}

// watch gives the term up when the process is not fit to lead any more. The channel is closed when it does no more.
func (h *health) watch(t *Term) <-chan struct{} {
	done := make(chan struct{})
	if h == nil {
		close(done)
		return done
	}
	go func() { // serve waits for it
		defer close(done)
		tick := time.NewTicker(checkEvery)
		defer tick.Stop()
		for t.Context().Err() == nil {
			if err := h.ask(t.Context()); err != nil && t.Context().Err() == nil {
				_ = t.giveUp(fmt.Errorf("%w: %w", ErrUnhealthy, err))
				return
			}
			select {
			case <-tick.C:
			case <-t.Context().Done():
			}
		}
	}()
	return done
}
