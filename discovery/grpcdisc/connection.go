package grpcdisc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/resolver"

	"etcdkit/discovery"
)

// settle is between two updates of a connection, at least: what changes within it is told at once. The first update does not wait.
const settle = 50 * time.Millisecond

// A connection is the resolver of one grpc.ClientConn.
type connection struct {
	cc      resolver.ClientConn
	service *service
	port    *string
	news    chan struct{}
	release func(*service)

	cancel context.CancelFunc
	done   chan struct{}
}

func (c *connection) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.done = cancel, make(chan struct{})
	c.service.listen(c.news)
	go func() {
		defer close(c.done)
		c.run(ctx)
	}()
}

// ResolveNow does nothing: what there is to know is followed.
func (c *connection) ResolveNow(resolver.ResolveNowOptions) {}

// Close is called by gRPC, when the connection is closed or has had no requests for a time.
func (c *connection) Close() {
	c.cancel()
	<-c.done
	c.service.leave(c.news)
	c.release(c.service)
}

func (c *connection) run(ctx context.Context) {
	var told []resolver.Endpoint
	timer := time.NewTimer(0) // runs out when the next update may go
	defer timer.Stop()
	for {
		select {
		case <-c.news:
		case <-ctx.Done():
			return
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-c.news: // those of the meantime are told with it
		default:
		}
		told = c.tell(c.service.news(), told)
		timer.Reset(settle)
	}
}

// tell brings gRPC up to date, and returns the list that it has now.
func (c *connection) tell(n news, told []resolver.Endpoint) []resolver.Endpoint {
	if n.snapshot == nil {
		c.cc.ReportError(fmt.Errorf("discovery %q: there is no list yet: %w", c.service.name, n.err))
		return told
	}
	endpoints := endpointsOf(n.snapshot, c.port)
	empty := error(nil)
	if len(endpoints) == 0 {
		empty = noInstance(c.service.name, n.snapshot, c.port)
		endpoints = []resolver.Endpoint{noEndpoint(empty)}
	}
	if !slices.EqualFunc(endpoints, told, same) {
		// What a policy thinks of the list cannot be helped by resolving once more.
		_ = c.cc.UpdateState(resolver.State{Endpoints: endpoints, Addresses: addressesOf(endpoints)})
	}
	if empty != nil {
		c.cc.ReportError(empty)
	}
	return endpoints
}

func noInstance(service string, snap *discovery.Snapshot, port *string) error {
	if port != nil && len(snap.Instances) > 0 {
		return fmt.Errorf("discovery %q: %w with a port %q", service, discovery.ErrNoInstance, *port)
	}
	return &discovery.NoInstanceError{Service: service, Draining: len(snap.Draining), Unhealthy: len(snap.Unhealthy), Err: snap.Err}
}
