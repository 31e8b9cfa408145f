package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"etcdkit/discovery"
	"etcdkit/discovery/grpcdisc"
	"etcdkit/session"
)

// service is the name that servers register under and clients ask for.
const service = "demo/health"

// serve serves until ctx ends, and then leaves without a failed request.
func serve(ctx context.Context, s *session.Session, address string, log *slog.Logger) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	srv := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(srv, health.NewServer())
	serving := make(chan error, 1)
	go func() {
		defer close(serving)
		serving <- srv.Serve(listener)
	}()
	defer func() {
		srv.Stop()
		for range serving { // until it has ended
		}
	}()

	reg, err := discovery.Register(ctx, s, service, discovery.Instance{Addr: listener.Addr().String(), Protocol: "grpc"})
	if err != nil {
		return err
	}
	log.Info("serving", "address", listener.Addr().String(), "id", reg.Instance().ID)
	select {
	case <-ctx.Done():
	case err := <-serving:
		return errors.Join(err, reg.Deregister(ctx))
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = grpcdisc.Shutdown(ending, reg, srv)
	log.Info("left", "error", err)
	return err
}
