package httpdisc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var errShutdown = errors.New("the gateway was shut down")

// flight counts the requests that are being served.
type flight struct {
	n        atomic.Int64
	draining atomic.Bool

	mu   sync.Mutex    // protects idle
	idle chan struct{} // closed when n has come down to zero while draining; nil while nobody waits
}

func (f *flight) enter() { f.n.Add(1) }

func (f *flight) leave() {
	if f.n.Add(-1) > 0 || !f.draining.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// wait returns when nothing is served, or the cause when ctx has ended. Any number may wait.
func (f *flight) wait(ctx context.Context) error {
	for {
		idle := f.next() // before the look at n, or its last change could be missed
		if f.n.Load() == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next returns what is closed the next time that nothing is served.
func (f *flight) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	return f.idle
}

// Healthy is nil while the Gateway takes requests: for the probe of a load balancer in front of it. It does not matter for it how
// the services behind are.
func (g *Gateway) Healthy() error {
	if g.flight.draining.Load() {
		return fmt.Errorf("httpdisc: gateway: %w", errShutdown)
	}
	return nil
}

// Shutdown ends the Gateway without a failed request. From now on Healthy returns an error, and responses close the connections that they come on.
// After half a second of that, these servers, whose handler the Gateway is, take no more connections and finish what they are at;
// then upgraded connections are waited for. ctx bounds the whole: when it ends, all that is left is cut, and Shutdown returns within a second of
// that, with the cause of ctx's end. Then the Gateway is closed (Close).
func (g *Gateway) Shutdown(ctx context.Context, servers ...*http.Server) error {
	g.flight.draining.Store(true)
	pause(ctx, share(ctx, noticePause))
	var ending sync.WaitGroup
	errs := make([]error, len(servers))
	for i, srv := range servers {
		ending.Go(func() { errs[i] = shutdown(ctx, srv) })
	}
	ending.Wait()
	err := g.flight.wait(ctx)
	if err != nil {
		g.cancel(errShutdown) // cuts upgraded connections
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second/2)
		_ = g.flight.wait(last) // a handler that does not end now has a client or an instance that holds on to it
		cancel()
	}
	_ = g.Close() // has no error
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("httpdisc: gateway: shut down with requests cut off: %w", err)
	}
	return nil
}

// Close ends the following of routes and services, active checks and upgraded connections at once. Requests in flight go on with what is known;
// new ones are answered with 503. Twice is fine.
func (g *Gateway) Close() error {
	g.flight.draining.Store(true)
	g.cancel(errShutdown)
	g.live.Wait()
	g.mu.Lock()
	g.closed = true
	checkers := g.checkers
	g.checkers = nil
	g.mu.Unlock()
	for _, c := range checkers {
		c.stop()
	}
	g.services.close()
	return nil
}
