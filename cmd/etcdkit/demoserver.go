package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
	"etcdkit/session"
)

const demoService = "demo/web"

// serveDemo is a server that answers with its name, until ctx ends.
func serveDemo(ctx context.Context, out io.Writer, client *clientv3.Client, name string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := httpdisc.NewServer("", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	s := session.New(client, session.WithTTL(demoTTL))
	defer func() { _ = s.Close(context.Background()) }()
	reg, err := discovery.Register(ctx, s, demoService, discovery.Instance{ID: name, Addr: listener.Addr().String()})
	if err != nil {
		return errors.Join(err, srv.Close(), ended(<-served))
	}
	port := 0
	if addr, ok := listener.Addr().(*net.TCPAddr); ok {
		port = addr.Port
	}
	_, _ = fmt.Fprintln(out, name, demoServes, port) // nobody listens if that fails
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(httpdisc.Shutdown(ending, reg, srv), ended(<-served))
}

// ended is what is wrong with the end of a server.
func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
