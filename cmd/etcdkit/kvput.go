package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newKVPut(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "put KEY VALUE",
		Short: "Write a key",
		Long: `Write VALUE to a key, whether it exists or not. With "-" as VALUE it is read from standard input, to its end and
with whatever line break stands there. A value that begins with a dash comes after "--".`,
		Example: `  etcdkit kv put config/app/timeout 5s
  etcdkit kv put config/app/settings - < settings.json
  etcdkit kv put -- offset -3`,
		Args:              exactly("the key", "the value"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, value := args[0], args[1]
			if key == "" {
				return errNoKey
			}
			if value == "-" {
				all, err := io.ReadAll(cmd.InOrStdin())
				if err != nil {
					return fmt.Errorf("put %q: standard input: %w", key, err)
				}
				value = string(all)
			}
			resp, err := ask(cmd, p, func(r request) (*clientv3.PutResponse, error) { return r.client.Put(r.ctx, key, value) })
			if err != nil {
				return fmt.Errorf("put %q: %w", key, err)
			}
			result := struct {
				Revision int64 `json:"revision"`
			}{resp.Header.Revision}
			return p.print(cmd, result, func() error {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "OK")
				return err
			})
		},
	}
}
