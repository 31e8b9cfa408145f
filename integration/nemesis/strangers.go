package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/history"
	"etcdkit/integration/worker"
)

// strangers are faults of people with a client of their own.
var strangers = []Fault{
	{ID: "F18", Name: "keys of holders and waiters deleted", Counts: "keys", Lasts: 1, Begin: again(100*time.Millisecond, (*Scene).steal)},
	{ID: "F18", Name: "leases of holders and waiters revoked", Counts: "leases", Lasts: 1, Begin: again(250*time.Millisecond, (*Scene).revoke)},
	{ID: "F18", Name: "foreign values", Counts: "keys", Lasts: 1, Quiet: true, Begin: again(50*time.Millisecond, (*Scene).overwrite)},
	{ID: "F18", Name: "junk keys in the line", Counts: "keys", Lasts: 0.5, Begin: junk},
}

func again(d time.Duration, do func(*Scene, context.Context) (int64, error)) func(context.Context, *Scene) (End, error) {
	return func(_ context.Context, s *Scene) (End, error) {
		return every(d, func(ctx context.Context) (int64, error) { return do(s, ctx) }), nil
	}
}

// any returns one of the first two keys of the line, or nil.
func (s *Scene) any(ctx context.Context) (*mvccpb.KeyValue, error) {
	resp, err := s.sight.Get(ctx, s.Crew.Line, append(clientv3.WithFirstCreate(), clientv3.WithLimit(2))...)
	if err != nil || len(resp.Kvs) == 0 {
		return nil, err
	}
	return resp.Kvs[rand.N(len(resp.Kvs))], nil
}

func same(kv *mvccpb.KeyValue) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(string(kv.Key)), "=", kv.CreateRevision)
}

// steal deletes a key.
func (s *Scene) steal(ctx context.Context) (int64, error) {
	kv, err := s.any(ctx)
	if kv == nil {
		return 0, err
	}
	r := history.Robbery{How: "its key was deleted", Token: kv.CreateRevision, From: worker.Now()}
	resp, err := s.sight.Txn(ctx).If(same(kv)).Then(clientv3.OpDelete(string(kv.Key))).Commit()
	if err == nil && !resp.Succeeded {
		return 0, nil // it was gone already
	}
	s.Crew.Rob(r) // also if there was no answer
	return 1, err
}

// revoke takes a lease, and with it all that its session has.
func (s *Scene) revoke(ctx context.Context) (int64, error) {
	kv, err := s.any(ctx)
	if kv == nil || kv.Lease == 0 {
		return 0, err
	}
	r := history.Robbery{How: "its lease was revoked", Lease: kv.Lease, From: worker.Now()}
	_, err = s.sight.Revoke(ctx, clientv3.LeaseID(kv.Lease))
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return 0, nil
	}
	s.Crew.Rob(r)
	return 1, err
}

// odd are values that nobody of the kit writes.
var odd = []string{"", "\xff\xfe\x00", "exclusive ", strings.Repeat("x", 100<<10)}

// overwrite gives every key in the line another value. It stays the key that it was, under its lease.
func (s *Scene) overwrite(ctx context.Context) (n int64, err error) {
	resp, err := s.sight.Get(ctx, s.Crew.Line, clientv3.WithPrefix())
	if err != nil {
		return 0, err
	}
	for i, kv := range resp.Kvs {
		put := clientv3.OpPut(string(kv.Key), odd[i%len(odd)], clientv3.WithIgnoreLease())
		resp, err := s.sight.Txn(ctx).If(same(kv)).Then(put).Commit()
		if err != nil {
			return n, err
		}
		if resp.Succeeded {
			n++
		}
	}
	return n, nil
}

// junk puts keys in the line that nobody lets go of, some of them under names that workers use for theirs, and deletes them in the end.
func junk(ctx context.Context, s *Scene) (End, error) {
	names := []string{"0", "zz", "\x00", "\xff", "a/b", "@"}
	resp, err := s.sight.Get(ctx, s.Crew.Line, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	for _, kv := range resp.Kvs {
		names = append(names, fmt.Sprintf("%x", kv.Lease), fmt.Sprintf("%x-1", kv.Lease))
	}
	var put []*mvccpb.KeyValue
	for i, name := range names {
		key := s.Crew.Line + name
		resp, err := s.sight.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).Then(clientv3.OpPut(key, odd[i%len(odd)])).Commit()
		if err != nil {
			return nil, err
		}
		if resp.Succeeded {
			put = append(put, &mvccpb.KeyValue{Key: []byte(key), CreateRevision: resp.Header.Revision})
		}
	}
	return func(ctx context.Context) (n int64, err error) {
		for _, kv := range put {
			resp, err := s.sight.Txn(ctx).If(same(kv)).Then(clientv3.OpDelete(string(kv.Key))).Commit()
			if err != nil {
				return n, err
			}
			if resp.Succeeded { // it was there all the time
				n++
			}
		}
		return n, nil
	}, nil
}
