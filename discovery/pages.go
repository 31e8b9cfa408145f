package discovery

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/internal/paging"
)

// readPages reads all keys that begin with the prefix, at one revision, which it returns.
func readPages(ctx context.Context, h *hub.Hub, prefix string, each func(kv *mvccpb.KeyValue)) (revision int64, err error) {
	all, err := paging.Read(ctx, h.Get("discovery read"), prefix, keyspace.End(prefix))
	if err != nil {
		return 0, err
	}
	for _, kv := range all.Keys {
		each(kv)
	}
	return all.Revision, nil
}
