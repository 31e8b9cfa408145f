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
	// readsToTell are the operations that tell who holds then.
	readsToTell(l *Line) []clientv3.Op
	// roused returns the keys that hold since the stake's is gone, by the answers at that very revision.
	roused(s *stake, answers []*pb.ResponseOp) []*mvccpb.KeyValue
}

// readsToTell asks for the head of the line. Where the size was raised by much, it is too short for some, who will find out for themselves.
func (r permitsRule) readsToTell(l *Line) []clientv3.Op {
	return []clientv3.Op{
		clientv3.OpGet(l.prefix, clientv3.WithRange(l.end), clientv3.WithKeysOnly(),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend), clientv3.WithLimit(int64(r.initial)+1)),
		clientv3.OpGet(r.sizeKey),
	}
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
		if sum = min(sum+n, all); sum > size {
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
		for _, kv := range kvs {
			if err := l.touch(ctx, string(kv.Key), kv.CreateRevision); err != nil {
				l.hub.Log.Debug("who holds now could not be told", "key", string(kv.Key), "error", err)
			}
		}
	})
}

func (l *Line) touch(ctx context.Context, key string, rev int64) error {
	ctx, cancel := new(retry.Patience).Try(ctx)
	defer cancel()
	_, err := l.hub.Client.Txn(ctx).
		If(present(key, rev)).
		Then(clientv3.OpPut(key, "", clientv3.WithIgnoreValue(), clientv3.WithIgnoreLease())).
		Commit()
	return err
}
