package main

import (
	"fmt"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newKVDel(p *program) *cobra.Command {
	var keys span
	cmd := &cobra.Command{
		Use:   "del KEY",
		Short: "Delete a key",
		Long:  "Delete a key, or with --prefix all that begin with it, and print how many there were. It does not ask first.",
		Example: `  etcdkit kv del config/app/timeout
  etcdkit kv del --prefix config/app/`,
		Args:              exactly("the key"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	keys.addFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, opts, err := keys.of(args[0])
		if err != nil {
			return err
		}
		resp, err := ask(cmd, p, func(r request) (*clientv3.DeleteResponse, error) { return r.client.Delete(r.ctx, key, opts...) })
		if err != nil {
			return fmt.Errorf("del %q: %w", args[0], err)
		}
		result := struct {
			Revision int64 `json:"revision"`
			Deleted  int64 `json:"deleted"`
		}{resp.Header.Revision, resp.Deleted}
		return p.print(cmd, result, func() error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), resp.Deleted)
			return err
		})
	}
	return cmd
}
