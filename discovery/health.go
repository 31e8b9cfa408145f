package discovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// attend asks after the instance's health until ctx ends.
func (r *Registration) attend(ctx context.Context) {
	timer := time.NewTimer(r.opts.every)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		ill := r.examine(ctx)
		if ctx.Err() != nil {
			return // it was cut short
		}
		r.diagnose(ill)
		timer.Reset(r.opts.every*9/10 + rand.N(r.opts.every/5))
	}
}

// examine asks once. A panic is an answer too.
func (r *Registration) examine(ctx context.Context) (ill error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.every)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			ill = fmt.Errorf("the health check panicked: %v", p)
		}
	}()
	if err := r.opts.health(ctx); err != nil {
		return err
	}
	return context.Cause(ctx) // too late is no health
}

func (r *Registration) diagnose(ill error) {
	r.mu.Lock()
	before := r.ill
	r.mu.Unlock()
	log := r.hub.Log.With("service", r.service, "id", r.id)
	switch {
	case (ill == nil) == (before == nil):
		return
	case ill != nil:
		log.Warn("the instance is unhealthy and takes no requests", "error", ill)
	default:
		log.Info("the instance is healthy again")
	}
	r.change(func() { r.ill = ill })
}
