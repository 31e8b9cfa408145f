package main

import (
	"fmt"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newKVGet(p *program) *cobra.Command {
	var keys span
	var keysOnly bool
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print a key and its value",
		Long: `Print a line with the key and one with its value. A key that does not exist prints nothing, and is no error.

With --keys-only there is one line for each key, and nothing between them.`,
		Example: `  etcdkit kv get config/app/timeout
  etcdkit kv get --prefix --keys-only config/
  etcdkit kv get --prefix "" -o json`,
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
		if keysOnly {
			opts = append(opts, clientv3.WithKeysOnly())
		}
		resp, err := ask(cmd, p, func(r request) (*clientv3.GetResponse, error) { return r.client.Get(r.ctx, key, opts...) })
		if err != nil {
			return fmt.Errorf("get %q: %w", args[0], err)
		}
		return printGet(p, cmd, resp, keysOnly)
	}
	return cmd
}

func printGet(p *program, cmd *cobra.Command, resp *clientv3.GetResponse, keysOnly bool) error {
	result := struct {
		Revision int64      `json:"revision"`
		Count    int64      `json:"count"`
		KVs      []keyValue `json:"kvs"`
	}{Revision: resp.Header.Revision, Count: resp.Count, KVs: []keyValue{}}
	for _, kv := range resp.Kvs {
		result.KVs = append(result.KVs, describe(kv, keysOnly))
	}
	return p.print(cmd, result, func() error {
		for _, kv := range resp.Kvs {
			if err := printKeyValue(cmd.OutOrStdout(), kv, keysOnly); err != nil {
				return err
			}
		}
		return nil
	})
}
