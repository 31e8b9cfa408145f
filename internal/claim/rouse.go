package claim

import (
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
)

// A rouser is a Rule by which who releases tells those who hold from then on. Where any of many keys may be the one that is waited for,
// one write more costs less than a watch of each of them. Nobody relies on it: who is not told soon, watches.
type rouser interface {
	// roused returns the keys that hold since the stake's is gone, by the answers to reads at that very revision.
	roused(s *stake, answers []*pb.ResponseOp) []*mvccpb.KeyValue
}

// roused returns those that fit without the stake's key and did not fit with it: what others release lets in others, so that each is
// told once.
func (r permitsRule) roused(s *stake, answers []*pb.ResponseOp) (in []*mvccpb.KeyValue) {
	kvs := answers[0].GetResponseRange().Kvs
	size, _ := r.size(answers[1].GetResponseRange().Kvs)
	slices.SortFunc(kvs, older)
	sum := 0
	for _, kv := range kvs {
		n, known := taken(kv.Key)
		if sum += n; sum > size {
			break // and with it whoever is behind
		}
		if known && kv.CreateRevision > s.rev && sum+r.n > size {
			in = append(in, kv)
		}
	}
	return in
}

// rouse touches keys: it writes them anew as they are. A touch that is late, or comes twice, changes nothing: the key holds by then, or has
// been released.
func (l *Line) rouse(kvs []*mvccpb.KeyValue) {
	if len(kvs) == 0 {
		return
	}
	l.hub.Go(func(ctx context.Context) {
		ctx, cancel := new(retry.Patience).Try(ctx)
		defer cancel()
		for _, kv := range kvs {
			key := string(kv.Key)
			_, err := l.hub.Client.Txn(ctx).
				If(present(key, kv.CreateRevision)).
				Then(clientv3.OpPut(key, "", clientv3.WithIgnoreValue(), clientv3.WithIgnoreLease())).
				Commit()
			if err != nil {
				l.hub.Log.Debug("who holds now could not be told", "key", key, "error", err)
				return
			}
		}
	})
}
