package httpdisc

import (
	"context"
	"errors"
	"net/http"
	"time"

	"etcdkit/discovery"
)

// Bounds of NewServer.
const (
	maxHeaderBytes    = 64 << 10
	readHeaderTimeout = 10 * time.Second
	serverIdleTimeout = 2 * time.Minute // longer than clientIdleTimeout, so that it is the client that closes: else its next request may meet the close
)

// Pauses of Shutdown.
const (
	noticePause   = 500 * time.Millisecond
	drainPatience = 2 * time.Second
)

// NewServer returns a server with bounds against header bombs and slow clients: headers of 64 KiB at most (431 beyond that), that arrive within
// ten seconds, and connections that are idle for two minutes at most. Reading a body and writing a response are not bounded, since both
// may be streams; a Gateway bounds how long its clients take for each piece (WithClientTimeout, WithStallTimeout). Change what you like before it serves.
func NewServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       serverIdleTimeout,
	}
}

// Shutdown takes an instance out of service without a failed request: it drains the registration, gives watchers half a second to notice, has
// the server finish what it is at and close, and deregisters. ctx bounds the whole: when it ends, connections are cut, and Shutdown returns
// within a second of that. Where etcd does not answer, draining gets two seconds at most, and watchers learn of nothing: what clients then
// meet is a closed port, which they retry elsewhere. Upgraded connections are not the server's any more: see RegisterOnShutdown there.
//
// The error tells all that could not be done: the end of ctx with requests cut off, and what etcd said.
func Shutdown(ctx context.Context, reg *discovery.Registration, srv *http.Server) error {
	var err error
	if ctx.Err() == nil { // else there is no time for it, and Deregister tells watchers too
		err = drain(ctx, reg)
	}
	return errors.Join(shutdown(ctx, srv), err, reg.Deregister(ctx))
}

// drain has watchers send no more requests.
func drain(ctx context.Context, reg *discovery.Registration) error {
	telling, cancel := context.WithTimeout(ctx, share(ctx, drainPatience))
	defer cancel()
	err := reg.Drain(telling)
	if err == nil {
		pause(ctx, share(ctx, noticePause))
	}
	return err
}

// shutdown has a server finish, and cuts what is left when ctx ends.
func shutdown(ctx context.Context, srv *http.Server) error {
	err := srv.Shutdown(ctx)
	if err != nil {
		_ = srv.Close() // the error that counts is that it was needed
	}
	return err
}

// share bounds a step to a quarter of the time that is left, so that the requests get theirs.
func share(ctx context.Context, d time.Duration) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(d, time.Until(end)/4)
	}
	return d
}

// pause waits so long, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
