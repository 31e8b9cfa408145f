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
	return paging.Read(ctx, h.Get("config read"), key, end, opts...)
}

// readPrefix is readRange of all keys that begin with prefix.
func readPrefix(ctx context.Context, h *hub.Hub, prefix string, opts ...clientv3.OpOption) (*paging.Result, error) {
	return readRange(ctx, h, prefix, keyspace.End(prefix), opts...)
}
