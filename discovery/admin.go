package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/mirror"
	"etcdkit/session"
)

// ServiceInfo is one service, as Services finds it.
type ServiceInfo struct {
	Name      string
	Instances int // who take requests
	Draining  int
	Unhealthy int
	Skipped   int // keys that are no instance
}

// Services returns the services of which anything is registered, in the order of their keys. It reads all of their records, in pages at one
// revision. Those that only etcd's own records know (WithEndpoints) are not among them.
func Services(ctx context.Context, s *session.Session) ([]ServiceInfo, error) {
	h := s.Hub()
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("discovery: services: %w", err)
	}
	var list []ServiceInfo
	_, err := readPages(ctx, h, h.Keys.Kind(kind), func(kv *mvccpb.KeyValue) {
		name, id, ok := h.Keys.Parse(kind, string(kv.Key))
		if !ok || id == "" {
			return
		}
		if len(list) == 0 || list[len(list)-1].Name != name {
			list = append(list, ServiceInfo{Name: name})
		}
		list[len(list)-1].count(id, kv.Value)
	})
	if err != nil {
		return nil, fmt.Errorf("discovery: services: %w", err)
	}
	return list, nil
}

func (i *ServiceInfo) count(id string, value []byte) {
	rec, err := decodeRecord(id, value)
	if err == nil {
		err = checkID(id)
	}
	switch {
	case err != nil:
		i.Skipped++
	case rec.State == unhealthy:
		i.Unhealthy++
	case rec.State == serving:
		i.Instances++
	default:
		i.Draining++
	}
}

// List returns a service as it stands now. It is one read, in pages. Of the options it takes WithEndpoints.
func List(ctx context.Context, s *session.Session, service string, opts ...Option) (*Snapshot, error) {
	h, o := s.Hub(), newOptions(opts)
	if err := h.Check(); err != nil {
		return nil, wrap(service, err)
	}
	if err := o.checkList(); err != nil {
		return nil, wrap(service, err)
	}
	src, err := newSource(h, service, o.endpoints)
	if err != nil {
		return nil, wrap(service, err)
	}
	b := newBook(h.TTL)
	b.revision, err = readPages(ctx, h, src.prefix, func(kv *mvccpb.KeyValue) {
		r := src.read(&mirror.Item{Key: string(kv.Key), Value: kv.Value, ModRevision: kv.ModRevision}, h.TTL)
		if r.err != nil {
			b.skipped[r.key] = true
			return
		}
		b.put(&r.entry)
	})
	if err != nil {
		return nil, wrap(service, err)
	}
	return b.snapshot(), nil
}

// RequestDrain has an instance drain, as if its own program had called Drain: it gets no new requests from when watchers see it, even if its program
// hangs, and its Registration keeps to it. The request stands in the instance's record. It returns when etcd has it; sent again it is harmless.
//
// A Registration that is cut off at that time, and loses its lease, hears of it before it comes back. It cannot if it was registered less than some 100 ms
// before, if it waits for its watch for more than 2 s, or if etcd has compacted that part of its history: then it serves again until it is asked again.
func RequestDrain(ctx context.Context, s *session.Session, service, id string) error {
	h := s.Hub()
	if err := h.Check(); err != nil {
		return wrap(service, err)
	}
	src, err := newSource(h, service, nil)
	if err != nil {
		return wrap(service, err)
	}
	if err := checkID(id); err != nil {
		return wrap(service, fmt.Errorf("drain %q: %w: %w", clip(id), ErrUnknown, err))
	}
	for {
		var done bool
		var refused error // what trying again will not mend
		err := h.Do(ctx, "discovery drain", func(ctx context.Context) (err error) {
			done, refused, err = tryDrain(ctx, h, src.prefix+id, id)
			return err
		})
		if err = cmp.Or(err, refused); err != nil {
			return wrap(service, fmt.Errorf("drain %q: %w", id, err))
		}
		if done {
			return nil
		}
	}
}

// tryDrain is not done if somebody else has written the record meanwhile.
func tryDrain(ctx context.Context, h *hub.Hub, key, id string) (done bool, refused, err error) {
	resp, err := h.Client.Get(ctx, key)
	if err != nil {
		return false, nil, err
	}
	if len(resp.Kvs) == 0 {
		return false, ErrUnknown, nil
	}
	rec, err := decodeRecord(id, resp.Kvs[0].Value)
	if err != nil {
		return false, fmt.Errorf("its record cannot be read: %w", err), nil
	}
	if rec.State == draining || rec.State == leaving {
		return true, nil, nil
	}
	rec.State = draining
	text, err := rec.encode()
	if err != nil {
		return false, err, nil
	}
	answer, err := h.Client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", resp.Kvs[0].ModRevision)).
		Then(clientv3.OpPut(key, text, clientv3.WithIgnoreLease())).Commit()
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return false, err, nil
	}
	return err == nil && answer.Succeeded, nil, err
}
