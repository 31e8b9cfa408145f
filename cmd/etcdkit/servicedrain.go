package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"etcdkit/discovery"
	"etcdkit/session"
)

func newServiceDrain(l *services) *cobra.Command {
	return &cobra.Command{
		Use:   "drain NAME ID",
		Short: "Have an instance get no new requests",
		Long: `Have the instance ID of the service NAME drain: from when the others see it, which is at once, it gets no new requests, and
those that it has it can finish. It stays in the list until its program ends. There is no way back: to serve again, it has
to be started anew. To drain it twice does nothing more.

If there is no such instance, the exit status is 3.`,
		Example: `  etcdkit services ls api
  etcdkit services drain api web-1`,
		Args:              exactly(serviceName, instanceID),
		ValidArgsFunction: l.completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.look(cmd, func(ctx context.Context, s *session.Session) error {
				err := discovery.RequestDrain(ctx, s, args[0], args[1])
				switch {
				case errors.Is(err, discovery.ErrUnknown):
					return &statusError{statusNobody, err}
				case err != nil:
					return err
				}
				result := struct {
					Service string `json:"service"`
					ID      string `json:"id"`
				}{args[0], args[1]}
				return l.print(cmd, result, func() error {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), "draining", escape(args[1]))
					return err
				})
			})
		},
	}
}
