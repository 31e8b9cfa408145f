package main

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"etcdkit/discovery/grpcdisc"
	"etcdkit/session"
)

// follow asks the servers in turn, until ctx ends.
func follow(ctx context.Context, s *session.Session, every time.Duration, lists string, log *slog.Logger) error {
	var opts []grpcdisc.Option
	if lists != "" {
		opts = append(opts, grpcdisc.WithLastGood(lists))
	}
	b := grpcdisc.NewBuilder(s, opts...)
	conn, err := grpc.NewClient("etcdkit:///"+service, append(b.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()

	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if from, status, err := ask(ctx, conn); err != nil {
			log.Warn("no answer", "error", err) // at once, where there is no server
		} else {
			log.Info("answer", "from", from, "status", status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ask makes one request, and tells who answered.
func ask(ctx context.Context, conn grpc.ClientConnInterface) (from, status string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var who peer.Peer
	resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, new(grpc_health_v1.HealthCheckRequest), grpc.Peer(&who))
	if err != nil {
		return "", "", err
	}
	return who.Addr.String(), resp.GetStatus().String(), nil
}
