package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	verdictEvery = 100 * time.Millisecond // how often the registration looks at the verdict, which costs nothing
	eagerEvery   = 200 * time.Millisecond // how often a server is checked that has not come up yet
)

// verdict is what is known of the health of a server.
type verdict struct {
	tell func(ill error) // is told when it has changed

	mu    sync.Mutex // protects what follows
	ill   error      // why it is not healthy
	asked bool       // at least once
}

var errNotStarted = errors.New("it has not started yet")

// health is for discovery.WithHealth.
func (v *verdict) health(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ill
}

func (v *verdict) set(ill error) {
	v.mu.Lock()
	changed := (ill == nil) != (v.ill == nil) || !v.asked
	v.ill, v.asked = ill, true
	v.mu.Unlock()
	if changed {
		v.tell(ill)
	}
}

// keep checks a server that has been started until ctx ends.
func (v *verdict) keep(ctx context.Context, p *probe) {
	if p.ask == nil {
		v.set(nil)
		return
	}
	pause := min(eagerEvery, p.interval)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		ill := p.once(ctx)
		if ctx.Err() != nil {
			return // it was cut short
		}
		if v.set(ill); ill == nil {
			pause = p.interval
		}
		timer.Reset(pause)
	}
}
