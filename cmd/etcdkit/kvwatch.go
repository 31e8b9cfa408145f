package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newKVWatch(p *program) *cobra.Command {
	var keys span
	var keysOnly bool
	cmd := &cobra.Command{
		Use:   "watch KEY",
		Short: "Print changes as they happen",
		Long: `Print each change of a key from now on, until Ctrl-C: a line PUT or DELETE, one with the key, and one with the value,
which is empty after a DELETE. With -o json each change is one line.

The watch survives lost connections and misses nothing: when it is connected again, it goes on where it was. If
meanwhile the history up to there was compacted away, changes are missing for good, and it ends with an error.`,
		Example: `  etcdkit kv watch config/app/timeout
  etcdkit kv watch --prefix "" --keys-only`,
		Args:              exactly("the key"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	keys.addFlag(cmd)
	cmd.Flags().BoolVar(&keysOnly, "keys-only", false, "print no values")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, opts, err := keys.of(args[0])
		if err != nil {
			return err
		}
		opts = append(opts, clientv3.WithCreatedNotify())
		return p.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
			if err := p.watch(ctx, cmd, keysOnly, client.Watch(ctx, key, opts...)); err != nil {
				return fmt.Errorf("watch %q: %w", args[0], err)
			}
			return nil
		})
	}
	return cmd
}

// watch prints changes until ctx ends, which is how a watch is meant to end.
func (p *program) watch(ctx context.Context, cmd *cobra.Command, keysOnly bool, responses clientv3.WatchChan) error {
	last := int64(0)
	for resp := range responses {
		switch {
		case ctx.Err() != nil:
			return nil
		case resp.CompactRevision != 0:
			return fmt.Errorf("the changes after revision %d were compacted away, up to %d", last, resp.CompactRevision)
		case resp.Err() != nil:
			return resp.Err()
		case resp.Created:
			notef(cmd, "watching from revision %d on; Ctrl-C ends it", resp.Header.Revision+1)
		}
		last = resp.Header.Revision
		for _, event := range resp.Events {
			if err := p.printEvent(cmd, event, keysOnly); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("the watch was closed")
}

func (p *program) printEvent(cmd *cobra.Command, event *clientv3.Event, keysOnly bool) error {
	isDelete := event.Type == clientv3.EventTypeDelete
	result := struct {
		Type string `json:"type"`
		keyValue
	}{event.Type.String(), describe(event.Kv, keysOnly || isDelete)}
	return p.print(cmd, result, func() error {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), event.Type); err != nil {
			return err
		}
		return printKeyValue(cmd.OutOrStdout(), event.Kv, keysOnly)
	})
}
