package grpcdisc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"etcdkit/discovery"
)

// ShutdownOption changes a default of Shutdown.
type ShutdownOption func(*shutdownOptions)

type shutdownOptions struct {
	pause time.Duration
}

// WithPause sets how long a server that drains serves on as if nothing had happened; the default is half a second. Clients of this package have noticed
// within a tenth of that; others may take longer. Zero means no pause.
func WithPause(d time.Duration) ShutdownOption { return func(o *shutdownOptions) { o.pause = d } }

const (
	// grace is what Shutdown has when ctx is over.
	grace = time.Second
	// drainPatience bounds the wait for etcd before requests are waited for.
	drainPatience = 2 * time.Second
)

// Shutdown ends a server so that its clients notice nothing: it marks the instance as draining, serves on for half a second (see WithPause), by which
// clients have taken it off their lists, waits for the requests that are under way, and takes the instance out of etcd.
//
// ctx bounds the waiting. When it is over the requests that are left are cut off, and so are streams, which would not end by themselves. Shutdown
// returns within a second from then, in which the instance is taken out all the same. A handler that does not obey its ctx is not waited for then.
//
// To mark the instance it takes a third of ctx's time at most, and two seconds. Where that fails, since etcd is down, there is no pause, as
// nobody would notice: clients learn from the connections that the server ends, and go elsewhere.
//
// What went wrong is returned: that requests were cut off (ctx's error), and what etcd did not do.
func Shutdown(ctx context.Context, reg *discovery.Registration, srv *grpc.Server, opts ...ShutdownOption) error {
	o := shutdownOptions{pause: 500 * time.Millisecond}
	for _, opt := range opts {
		opt(&o)
	}
	var draining error
	if ctx.Err() == nil { // else there is no time for it, and Deregister tells the clients, too
		draining = drain(ctx, reg, o.pause)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		srv.GracefulStop()
	}()
	select {
	case <-stopped:
		return errors.Join(draining, reg.Deregister(ctx))
	case <-ctx.Done():
	}
	cut := fmt.Errorf("grpcdisc: requests were cut off: %w", context.Cause(ctx))
	go srv.Stop() // it can wait for handlers (grpc.WaitForHandlers)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	leaving := reg.Deregister(last)
	select { // meanwhile, the handlers that obey have ended
	case <-stopped:
	case <-last.Done():
	}
	return errors.Join(cut, draining, leaving)
}

// drain has clients send no more requests, as far as there is time for it.
func drain(ctx context.Context, reg *discovery.Registration, pause time.Duration) error {
	part := drainPatience
	if end, ok := ctx.Deadline(); ok {
		part = min(part, time.Until(end)/3)
	}
	telling, cancel := context.WithTimeout(ctx, part)
	defer cancel()
	if err := reg.Drain(telling); err != nil {
		return err
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return nil
}
