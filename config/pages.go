package config

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/internal/paging"
)

// readRange reads the keys from key up to end, or key alone if that is empty, at one revision.
func readRange(ctx context.Context, h *hub.Hub, key, end string, opts ...clientv3.OpOption) (*paging.Result, error) {
	return paging.Read(ctx, getWith(h), key, end, opts...)
}

// getWith returns a Get that asks again until it is answered.
func getWith(h *hub.Hub) paging.Get {
	return func(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
		err = h.Do(ctx, "config read", func(ctx context.Context) error {
			resp, err = h.Client.Get(ctx, key, opts...)
			return err
		})
		return resp, err
	}
}

// readPrefix is readRange of all keys that begin with prefix.
func readPrefix(ctx context.Context, h *hub.Hub, prefix string, opts ...clientv3.OpOption) (*paging.Result, error) {
	return readRange(ctx, h, prefix, keyspace.End(prefix), opts...)
}
