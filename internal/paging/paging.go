// Package paging reads ranges of any size in pages at one revision, so that no answer is larger than a client takes, and no limit loses keys.
package paging

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	firstPage = 16 // keys; values can have 1 MiB each
	mostKeys  = 4096
	fairPage  = 1 << 20 // bytes: from half of it to twice as much, the next page is as long
)

// mostStarts is how often a read begins at most. Compaction that overtakes each of them, although pages are as long as they can be
// from the second on, would overtake more of them, too.
const mostStarts = 5

// Get makes one request, again if need be: clientv3.KV's method within the caller's retries.
type Get func(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error)

// Result is what stood in a range at one revision.
type Result struct {
	Keys     []*mvccpb.KeyValue
	Revision int64 // of the store when it was read
}

// Read reads the keys from key up to end, without that, or key alone if end is empty. Options must not set range, limit, order or revision.
// If the revision of the first page is compacted before the last one is read, it begins anew, a few times; then the error is
// rpctypes.ErrCompacted.
func Read(ctx context.Context, get Get, key, end string, opts ...clientv3.OpOption) (*Result, error) {
	limit := int64(firstPage)
	for starts := 1; ; starts++ {
		r, err := read(ctx, get, key, end, &limit, new(Result), opts)
		if err == nil || !errors.Is(err, rpctypes.ErrCompacted) || starts == mostStarts {
			return r, err
		}
	}
}

// ReadAt is Read at a revision that has been. The error is rpctypes.ErrCompacted if that is dropped.
func ReadAt(ctx context.Context, get Get, rev int64, key, end string, opts ...clientv3.OpOption) (*Result, error) {
	limit := int64(firstPage)
	return read(ctx, get, key, end, &limit, &Result{Revision: rev}, opts)
}

// read is one try. What it learns of the length of pages stays in limit.
func read(ctx context.Context, get Get, key, end string, limit *int64, r *Result, opts []clientv3.OpOption) (*Result, error) {
	for {
		page := append(opts[:len(opts):len(opts)], clientv3.WithRange(end), clientv3.WithRev(r.Revision), clientv3.WithLimit(*limit))
		resp, err := get(ctx, key, page...)
		if err != nil {
			return nil, err
		}
		if r.Revision == 0 {
			r.Revision = resp.Header.Revision // the first page pins the others
		}
		r.Keys = append(r.Keys, resp.Kvs...)
		if !resp.More || len(resp.Kvs) == 0 {
			return r, nil
		}
		*limit = next(*limit, resp.Kvs)
		key = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// next returns how many keys the next page should have, after one with so many.
func next(keys int64, kvs []*mvccpb.KeyValue) int64 {
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
