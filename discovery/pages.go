package discovery

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/internal/paging"
)

// readPages reads all keys that begin with the prefix, at one revision, which it returns.
func readPages(ctx context.Context, h *hub.Hub, prefix string, each func(kv *mvccpb.KeyValue)) (revision int64, err error) {
	get := func(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
		err = h.Do(ctx, "discovery read", func(ctx context.Context) error {
			resp, err = h.Client.Get(ctx, key, opts...)
			return err
		})
		return resp, err
	}
	all, err := paging.Read(ctx, get, prefix, keyspace.End(prefix))
	if err != nil {
		return 0, err
	}
	for _, kv := range all.Keys {
		each(kv)
	}
	return all.Revision, nil
}
