package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// with connects, calls do, and disconnects. The context that do gets ends with a signal.
func (p *program) with(cmd *cobra.Command, do func(ctx context.Context, client *clientv3.Client) error) error {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	client, err := p.conn.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // its requests have had their answers
	return because(ctx, do(ctx, client))
}

// request is a client for one request, and the time that it may take.
type request struct {
	ctx    context.Context
	client *clientv3.Client
}

// ask sends one request on a connection of its own.
func ask[T any](cmd *cobra.Command, p *program, send func(request) (T, error)) (result T, err error) {
	err = p.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
		bounded, cancel := p.conn.request(ctx)
		defer cancel()
		var err error
		result, err = send(request{bounded, client})
		return because(bounded, err)
	})
	return result, err
}

// final is an error that tells what became of a request. That is so, and worth telling, however ctx ended.
type final interface {
	error
	final()
}

func isFinal(err error) bool {
	var known final
	return errors.As(err, &known)
}

// because tells why ctx ended where an error only says that it did.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !isFinal(err) {
		return context.Cause(ctx)
	}
	return err
}
