package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery/httpdisc"
	"etcdkit/session"
)

func (g *gateway) run() error {
	ctx, stop := untilSignal(g.cmd.Context())
	defer stop()
	if g.lastGood != "" {
		if err := os.MkdirAll(g.lastGood, 0o700); err != nil {
			return fmt.Errorf("--last-good: %w", err)
		}
	}
	listener, err := net.Listen("tcp", g.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", g.listen, opErr(err))
	}
	defer listener.Close()
	log := g.log.open(g.cmd)
	client, err := g.open(ctx, log)
	if err != nil {
		return because(ctx, err)
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix(g.prefix), session.WithLogger(log))
	defer giveBack(s)
	m := newMetrics()
	gw, err := g.start(ctx, s, append(g.options(), httpdisc.WithPicker(m.crowds.picker), httpdisc.WithTrace(g.log.trace(log, m))))
	if err != nil {
		return because(ctx, err)
	}
	server := httpdisc.NewServer("", newFront(gw, m))
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	return g.serve(ctx, gw, server, listener)
}

// open connects. With a last good list, etcd may also be unreachable, unless it is to be asked whether a password is right.
func (g *gateway) open(ctx context.Context, log *slog.Logger) (*clientv3.Client, error) {
	client, err := g.conn.open(ctx)
	if err == nil || g.lastGood == "" || ctx.Err() != nil || g.conn.cfg.Username != "" {
		return client, err
	}
	log.Warn("starting with what was known last", "error", g.errorLine(err))
	return clientv3.New(g.conn.cfg)
}

// start reads the routes, which is the first that is asked of etcd, and bounded.
func (g *gateway) start(ctx context.Context, s *session.Session, opts []httpdisc.Option) (*httpdisc.Gateway, error) {
	bounded, cancel := g.conn.request(ctx)
	defer cancel()
	gw, err := httpdisc.StartGateway(bounded, s, g.paths.set, opts...)
	return gw, because(bounded, err)
}

// serve serves until a signal comes, which is how it is meant to end, and then until all requests have had their answers.
func (g *gateway) serve(ctx context.Context, gw *httpdisc.Gateway, server *http.Server, listener net.Listener) error {
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	err := g.announce(listener.Addr().String())
	if err == nil {
		select {
		case err = <-serving:
			return errors.Join(err, gw.Close())
		case <-ctx.Done():
		}
	}
	hurried, stop := untilSignal(context.WithoutCancel(ctx)) // by another signal
	defer stop()
	ending, cancel := context.WithTimeoutCause(hurried, g.grace, fmt.Errorf("--grace of %v is over", g.grace))
	defer cancel()
	cut := because(ending, gw.Shutdown(ending, server))
	return errors.Join(err, cut, ended(<-serving))
}

func (g *gateway) announce(addr string) error {
	result := struct {
		Address string `json:"address"`
	}{addr}
	return g.print(g.cmd, result, func() error {
		_, err := fmt.Fprintf(g.cmd.OutOrStdout(), "the gateway is ready on %s\n", addr)
		return err
	})
}

// opErr is what is wrong, without the address that is named already.
func opErr(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
