package mirror

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pageSize is how many items a page has where the server cannot stream them.
const pageSize = 1000

// listing is a list on its way in.
type listing struct {
	header *etcdserverpb.ResponseHeader // its revision is that of all items
	all    []*Item                      // as they come
	items  map[string]*Item             // the same by key, when all are there: a map that grows is copied again and again
	heard  func()                       // something came: the server is alive
}

func (l *listing) add(kvs []*mvccpb.KeyValue) {
	l.heard()
	for _, kv := range kvs {
		l.all = append(l.all, newItem(kv))
	}
}

// list reads the whole prefix at one revision. However long that takes, something must come every so often.
func (m *Mirror) list(ctx context.Context) (*listing, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(patience, func() { cancel(fmt.Errorf("%w from %v", errNoAnswer, m.client.Endpoints())) })
	defer timer.Stop()
	l := &listing{heard: func() { timer.Reset(patience) }}

	err := m.read(ctx, l)
	switch {
	case err == nil:
		l.items = make(map[string]*Item, len(l.all))
		for _, item := range l.all {
			l.items[item.Key] = item
		}
		return l, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	default:
		return nil, readError(err)
	}
}

// read streams where the server and the client can: etcd from 3.7, and no namespace. It remembers that they cannot.
func (m *Mirror) read(ctx context.Context, l *listing) error {
	if !m.paged {
		err := m.readStream(ctx, l)
		if status.Code(err) != codes.Unimplemented {
			return err
		}
		m.paged = true
	}
	return m.readPages(ctx, l)
}

func (m *Mirror) readStream(ctx context.Context, l *listing) error {
	chunks, err := m.client.GetStream(ctx, m.prefix, clientv3.WithRange(m.bound))
	if err != nil {
		return err
	}
	for chunk := range chunks { // to its end, whatever is in it: the sender cannot be stopped otherwise, not even by ctx
		if err == nil {
			err = chunk.Err()
		}
		if err == nil {
			l.add(chunk.Kvs)
			l.header = chunk.Header // only the last one has it
		}
	}
	if err == nil && l.header == nil {
		return errClosed
	}
	return err
}

func (m *Mirror) readPages(ctx context.Context, l *listing) error {
	key := m.prefix
	for {
		resp, err := m.client.Get(ctx, key, clientv3.WithRange(m.bound), clientv3.WithLimit(pageSize), clientv3.WithRev(l.header.GetRevision()))
		if err != nil {
			return err
		}
		if l.header == nil {
			l.header = resp.Header // the first page pins the revision of the others; their headers tell a later one
		}
		l.add(resp.Kvs)
		if !resp.More || len(resp.Kvs) == 0 {
			return nil
		}
		key = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}
