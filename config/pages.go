package config

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
)

const (
	firstPage = 16 // keys; values can have 1 MiB each
	mostKeys  = 4096
	fairPage  = 1 << 20 // bytes: from half of it to twice as much, the next page is as long
)

// nextPage returns how many keys the next page should have, after one with so many.
func nextPage(keys int64, kvs []*mvccpb.KeyValue) int64 {
	size := 0
	for _, kv := range kvs {
		size += len(kv.Key) + len(kv.Value)
	}
	switch {
	case size > 2*fairPage:
		return max(keys/4, 1)
	case size < fairPage/2:
		return min(keys*4, mostKeys)
	}
	return keys
}

// pages is what was read at one revision.
type pages struct {
	kvs      []*mvccpb.KeyValue
	revision int64 // of the store when the first page was read
}

// readPages reads a key, or all that begin with it (clientv3.WithPrefix), in pages at one revision.
func readPages(ctx context.Context, h *hub.Hub, key string, opts ...clientv3.OpOption) (*pages, error) {
	p := new(pages)
	last := keyspace.End(key)
	for limit := int64(firstPage); ; {
		var resp *clientv3.GetResponse
		err := h.Do(ctx, "config read", func(ctx context.Context) (err error) {
			resp, err = h.Client.Get(ctx, key, append(opts, clientv3.WithRev(p.revision), clientv3.WithLimit(limit))...)
			return err
		})
		if err != nil {
			return nil, err
		}
		if p.revision == 0 {
			p.revision = resp.Header.Revision // the first page pins the others
		}
		p.kvs = append(p.kvs, resp.Kvs...)
		if !resp.More || len(resp.Kvs) == 0 {
			return p, nil
		}
		limit = nextPage(limit, resp.Kvs)
		key = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
		opts = append(opts, clientv3.WithRange(last)) // not the prefix of this key
	}
}
