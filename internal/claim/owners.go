package claim

import (
	"cmp"
	"context"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// An Owner is who a key in a line belongs to.
type Owner struct {
	Key    string
	Value  string
	Token  session.Token
	Lease  clientv3.LeaseID // 0 if the key is under none
	Holder bool             // the first of the line; who else holds depends on the rule
	Info   hub.Info         // zero if no session key tells
}

// Owners lists who holds the line and who waits, in their order. One read tells the keys, another who their sessions are; those that
// ended in between, and foreign keys, have no Info.
func Owners(ctx context.Context, h *hub.Hub, prefix string) ([]Owner, error) {
	owners, err := Standing(ctx, h, prefix)
	if err != nil {
		return nil, err
	}
	return owners, introduce(ctx, h, owners)
}

// Standing is Owners by one read, without what the sessions say of themselves.
func Standing(ctx context.Context, h *hub.Hub, prefix string) ([]Owner, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	var kvs []*mvccpb.KeyValue
	err := h.Do(ctx, "list "+prefix, func(ctx context.Context) error {
		resp, err := h.Client.Get(ctx, prefix, clientv3.WithPrefix())
		if err == nil {
			kvs = resp.Kvs
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(kvs, func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) })
	owners := make([]Owner, len(kvs))
	for i, kv := range kvs {
		owners[i] = newOwner(kv, i == 0)
	}
	return owners, nil
}

// Head returns the first of the line, by one read and another that tells who its session is. ok is false if nobody is in line.
func Head(ctx context.Context, h *hub.Hub, prefix string) (head Owner, ok bool, err error) {
	if err := h.Check(); err != nil {
		return Owner{}, false, err
	}
	var kvs []*mvccpb.KeyValue
	err = h.Do(ctx, "read the head of "+prefix, func(ctx context.Context) error {
		resp, err := h.Client.Get(ctx, prefix, append(clientv3.WithFirstCreate(), clientv3.WithRange(keyspace.End(prefix)))...)
		if err == nil {
			kvs = resp.Kvs
		}
		return err
	})
	if err != nil || len(kvs) == 0 {
		return Owner{}, false, err
	}
	head = newOwner(kvs[0], true)
	head.Info, err = Introduce(ctx, h, head.Lease)
	return head, err == nil, err
}

// Introduce reads what the session with this lease says of itself. Who may not read that learns nothing.
func Introduce(ctx context.Context, h *hub.Hub, lease clientv3.LeaseID) (hub.Info, error) {
	one := []Owner{{Lease: lease}}
	err := introduce(ctx, h, one)
	return one[0].Info, err
}

func newOwner(kv *mvccpb.KeyValue, holder bool) Owner {
	return Owner{Key: string(kv.Key), Value: string(kv.Value), Token: session.Token(kv.CreateRevision), Lease: clientv3.LeaseID(kv.Lease), Holder: holder}
}

// maxOps is etcd's default bound on the operations of a transaction.
const maxOps = 128

// introduce adds what the sessions say of themselves. Who may not read the session keys still sees the line.
func introduce(ctx context.Context, h *hub.Hub, owners []Owner) error {
	for chunk := range slices.Chunk(owners, maxOps) {
		ops := make([]clientv3.Op, len(chunk))
		for i, o := range chunk {
			ops[i] = clientv3.OpGet(h.Keys.Session(int64(o.Lease)))
		}
		err := h.Do(ctx, "read session keys", func(ctx context.Context) error {
			resp, err := h.Client.Txn(ctx).Then(ops...).Commit()
			if err != nil {
				return err
			}
			for i, r := range resp.Responses {
				if kvs := r.GetResponseRange().Kvs; len(kvs) > 0 {
					chunk[i].Info = hub.ParseInfo(kvs[0].Value)
				}
			}
			return nil
		})
		if retry.Of(err) == retry.Never {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
