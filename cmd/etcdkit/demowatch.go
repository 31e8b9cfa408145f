package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// await waits until so many servers have said that they serve.
func (a *gatewayAct) await(ctx context.Context, c *crew, n int) error {
	for range n {
		e, err := c.next(ctx)
		switch {
		case err != nil:
			return err
		case e.what != demoServes:
			return fmt.Errorf("%s says that it %s", e.who, e.what)
		}
	}
	return nil
}

// takeNote writes down who leaves the list, until the returned function is called.
func (a *gatewayAct) takeNote() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var noting sync.WaitGroup
	noting.Go(func() {
		for change, err := range a.view.Changes(ctx) {
			if err != nil {
				return
			}
			for _, i := range change.Removed {
				a.mu.Lock()
				a.left = append(a.left, i.ID)
				a.mu.Unlock()
			}
		}
	})
	return func() {
		cancel()
		noting.Wait()
	}
}

// during tells the load for so long.
func (a *gatewayAct) during(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return a.watch(ctx, func() bool { return !time.Now().Before(end) })
}

// until tells the load until something has happened, which has to be soon. what names it.
func (a *gatewayAct) until(ctx context.Context, what string, happened func() bool) error {
	soon, cancel := context.WithTimeoutCause(ctx, demoSoon, fmt.Errorf("%v were not enough %s: the machine is busy", demoSoon, what))
	defer cancel()
	return a.watch(soon, happened)
}

// watch tells the load once a second. A request that fails ends the play.
func (a *gatewayAct) watch(ctx context.Context, over func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !over() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if _, err := a.load.requests(); err != nil {
			return err
		}
		if time.Since(a.shown) >= time.Second {
			a.shown = time.Now()
			a.linef("load", "%s", a.load.recent())
		}
	}
	return nil
}
