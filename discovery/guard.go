package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	probeTime   = 2 * time.Second // that a probe has
	probeEvery  = 2 * time.Second // how often one on probation is asked after
	probeAtOnce = 16
)

// guard ends probations that are over, and probes, until ctx ends.
func (v *View) guard(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-v.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		held, next := v.expire(time.Now())
		if len(held) == 0 {
			continue // the next one wakes
		}
		rest := time.Second // while the view is stale
		if !next.IsZero() {
			rest = time.Until(next)
		}
		if v.opts.probe != nil {
			v.probe(ctx, held)
			rest = min(rest, probeEvery)
		}
		timer.Reset(max(rest, 0))
	}
}

// expire ends what is over, and returns who is still on probation.
func (v *View) expire(now time.Time) (held []Instance, next time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out, next := v.book.expire(now)
	if len(out) > 0 {
		v.hub.Log.Info("instances are gone after their probation", "service", v.service, "ids", out)
		v.publishLocked()
	}
	for _, e := range v.book.held {
		held = append(held, e.Instance)
	}
	return held, next
}

// probe asks after all of these, some at a time.
func (v *View) probe(ctx context.Context, held []Instance) {
	var group sync.WaitGroup
	turns := make(chan struct{}, probeAtOnce)
	for _, inst := range held {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			if err := v.probeOne(ctx, inst); err != nil && ctx.Err() == nil { // a view that is closed is nobody's death
				v.condemn(inst, err)
			}
		})
	}
	group.Wait()
}

func (v *View) probeOne(ctx context.Context, inst Instance) (err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the probe panicked: %v", p)
		}
	}()
	return v.opts.probe(ctx, inst)
}

// Report says how a connection to an instance went, nil if well: one that failed ends its probation (Snapshot.Probation), so that who picks again
// does not get it. Of instances that are not on probation it changes nothing, and costs a load; nor does context.Canceled, which says nothing
// of the instance.
func (v *View) Report(inst Instance, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	if _, ok := v.Snapshot().Probation[inst.ID]; ok {
		v.condemn(inst, err)
	}
}

// condemn ends the probation of an instance, if it is still that one.
func (v *View) condemn(inst Instance, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.book.held[inst.ID]
	if e == nil || e.Addr != inst.Addr {
		return
	}
	v.book.drop(inst.ID)
	v.hub.Log.Info("an instance on probation does not answer and is gone", "service", v.service, "id", inst.ID, "error", err)
	v.publishLocked()
}
