package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	pb "go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newKV(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Read, write and watch keys",
		Long: `Read, write and watch keys as they stand in etcd, byte for byte: nothing is put before KEY.

The output is etcdctl's. With -o json each result is one line of JSON: a key or a value stands in "key" and "value"
if it is UTF-8, else base64 coded in "key_base64" and "value_base64".`,
		Example: `  etcdkit kv put config/app/timeout 5s
  etcdkit kv get --prefix config/
  etcdkit kv watch --prefix config/`,
		Args: cobra.NoArgs,
		RunE: helpOnly,
	}
	p.conn.addFlags(cmd.PersistentFlags())
	cmd.AddCommand(newKVGet(p), newKVPut(p), newKVDel(p), newKVWatch(p))
	return cmd
}

// errNoKey refuses what etcd would refuse with the same words, but not as a wrong command line.
var errNoKey = &statusError{statusUsage, errors.New("the key must not be empty")}

// span is one key or all keys that begin with it.
type span struct {
	prefix bool
}

func (s *span) addFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.prefix, "prefix", false, "all keys that begin with KEY; an empty KEY means all there are")
}

// of returns the key and the options with which the client means the span.
func (s *span) of(arg string) (string, []clientv3.OpOption, error) {
	switch {
	case !s.prefix && arg == "":
		return "", nil, errNoKey
	case !s.prefix:
		return arg, nil, nil
	case arg == "":
		return "\x00", []clientv3.OpOption{clientv3.WithFromKey()}, nil
	}
	return arg, []clientv3.OpOption{clientv3.WithPrefix()}, nil
}

// keyValue is a key in JSON output.
type keyValue struct {
	Key            *string `json:"key,omitempty"`
	KeyBase64      *string `json:"key_base64,omitempty"`
	Value          *string `json:"value,omitempty"`
	ValueBase64    *string `json:"value_base64,omitempty"`
	CreateRevision int64   `json:"create_revision,omitempty"`
	ModRevision    int64   `json:"mod_revision,omitempty"`
	Version        int64   `json:"version,omitempty"`
	Lease          string  `json:"lease,omitempty"`
}

// describe leaves the value out where it was not asked for.
func describe(kv *pb.KeyValue, keyOnly bool) keyValue {
	out := keyValue{CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version}
	out.Key, out.KeyBase64 = text(kv.Key)
	if !keyOnly {
		out.Value, out.ValueBase64 = text(kv.Value)
	}
	if kv.Lease != 0 {
		out.Lease = fmt.Sprintf("%x", kv.Lease)
	}
	return out
}

// printKeyValue writes a line with the key and one with the value, as etcdctl does.
func printKeyValue(w io.Writer, kv *pb.KeyValue, keyOnly bool) error {
	if keyOnly {
		_, err := fmt.Fprintf(w, "%s\n", kv.Key)
		return err
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", kv.Key, kv.Value)
	return err
}
