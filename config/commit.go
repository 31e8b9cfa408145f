package config

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
	"etcdkit/session"
)

// commit sends the transaction until it is answered. The revision is zero if it was not applied, and never will be, because somebody
// else wrote.
func (w *write) commit(ctx context.Context, b *base) (int64, error) {
	w.id = rand.Text() // what an earlier turn may have left under way is not taken for this one
	number := b.version + 1
	rec, part := w.record(b, number)
	if part != nil {
		err := w.send(ctx, func(ctx context.Context) error {
			_, err := w.hub.Client.Do(ctx, *part)
			return err
		})
		if retry.Of(err) == retry.Unknown {
			w.discard(ctx, string(part.KeyBytes()))
		}
		if err != nil {
			return 0, err // the write itself was not sent, so nothing is uncertain about it
		}
	}
	rev, err := w.transact(ctx, b, number, rec)
	if part != nil && rev == 0 && retry.Of(err) != retry.Unknown { // else a copy may be under way still, and would need it
		w.discard(ctx, string(part.KeyBytes()))
	}
	return rev, err
}

// transact is commit without the part.
func (w *write) transact(ctx context.Context, b *base, number int64, rec []byte) (int64, error) {
	cmps, ops := w.transaction(b, number, rec)
	var resp *clientv3.TxnResponse
	open := false // a copy had no answer, and may come yet
	err := w.send(ctx, func(ctx context.Context) (err error) {
		resp, err = w.hub.Client.Txn(ctx).If(cmps...).Then(ops...).Else(clientv3.OpGet(w.slot(number))).Commit()
		open = open || retry.Of(err) == retry.Unknown
		return err
	})
	switch {
	case retry.Of(err) == retry.Unknown:
		// That the store is full is here, too: such a write is refused outright in most cases, but the one that fills it is applied and then
		// said to be refused.
		return 0, fmt.Errorf("%w: %w", session.ErrUncertain, err)
	case err != nil:
		return 0, err
	case resp.Succeeded:
		return resp.Header.Revision, nil
	}
	rev := w.mine(resp.Responses[0])
	if rev != 0 || !open {
		return rev, nil
	}
	return w.settle(ctx, b, number)
}

// mine returns the revision of the record of this write if that is what was read, else zero: it is somebody else's, readable or not.
func (w *write) mine(read *etcdserverpb.ResponseOp) int64 {
	var rec record
	kvs := read.GetResponseRange().Kvs
	if len(kvs) == 0 || decode(kvs[0].Value, &rec) != nil || rec.ID != w.id {
		return 0
	}
	return kvs[0].ModRevision
}

// settle sees to it that no copy of a transaction comes any more that has failed its compare once: what it compares could become true
// again, if a key that was to be absent is deleted. It replaces the head, which all copies compare, by one that says the same. It tells
// whether a copy came before that.
func (w *write) settle(ctx context.Context, b *base, number int64) (int64, error) {
	head := w.line + headSlot
	same := clientv3.OpPut(head, string(encode(headRecord{Format: 1, Version: b.version})))
	var resp *clientv3.TxnResponse
	err := w.send(ctx, func(ctx context.Context) (err error) {
		resp, err = w.hub.Client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(head), "=", b.headRevision())).Then(same).
			Else(clientv3.OpGet(w.slot(number)), clientv3.OpGet(head)).Commit()
		return err
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", session.ErrUncertain, err)
	case resp.Succeeded:
		return 0, nil
	}
	// The head was replaced before: by somebody else, by a copy, or by this very transaction.
	if rev := w.mine(resp.Responses[0]); rev != 0 || len(resp.Responses[0].GetResponseRange().Kvs) > 0 {
		return rev, nil
	}
	var h headRecord
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		if decode(kv.Value, &h) == nil && h.Version >= number { // the history has gone past it, and dropped it
			return 0, session.ErrUncertain
		}
	}
	return 0, nil
}

// discard deletes the part of a record that was not written. Until that is done it does no harm, and later versions drop it.
func (w *write) discard(ctx context.Context, key string) {
	request := func(ctx context.Context) error {
		_, err := w.hub.Client.Delete(ctx, key)
		if retry.Of(err) == retry.Never {
			return nil
		}
		return err
	}
	if w.hub.Do(ctx, "config clean-up", request) != nil {
		w.hub.CleanUp("part of the history of config "+w.place.name, request)
	}
}

// send sends a request that is harmless when it is sent again until it is answered. A full store is an answer. Of the error tells what became
// of it.
func (w *write) send(ctx context.Context, request func(context.Context) error) error {
	var full error
	err := w.hub.Do(ctx, "config write", func(ctx context.Context) error {
		err := request(ctx)
		if errors.Is(err, rpctypes.ErrNoSpace) {
			full = err
			return nil
		}
		return err
	})
	switch {
	case full != nil:
		return full
	case errors.Is(err, rpctypes.ErrRequestTooLarge) && retry.Of(err) != retry.Unknown:
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return err
}

// transaction returns what the write compares, and what it does.
func (w *write) transaction(b *base, number int64, rec []byte) (cmps []clientv3.Cmp, ops []clientv3.Op) {
	at := func(key string, kv *mvccpb.KeyValue) clientv3.Cmp {
		return clientv3.Compare(clientv3.ModRevision(key), "=", kv.GetModRevision())
	}
	cmps = append(cmps, at(w.line+headSlot, b.head))
	for _, path := range w.paths {
		cmps = append(cmps, at(w.keys[path], b.found[path]))
		if value := w.values[path]; value != nil {
			ops = append(ops, clientv3.OpPut(w.keys[path], string(value)))
		} else {
			ops = append(ops, clientv3.OpDelete(w.keys[path]))
		}
	}
	if w.place.tree && w.rev == 0 {
		cmps = append(cmps, clientv3.Compare(clientv3.CreateRevision(w.place.prefix()), "=", 0).WithPrefix())
	}
	if b.checked != 0 {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(w.place.prefix()), "<", b.checked+1).WithPrefix())
	}
	ops = append(ops,
		clientv3.OpPut(w.slot(number), string(rec)),
		clientv3.OpPut(w.line+headSlot, string(encode(headRecord{Format: 1, Version: number}))))
	if drop := number - int64(w.keep); drop > 0 {
		ops = append(ops, clientv3.OpDelete(w.slot(0), clientv3.WithRange(w.slot(drop+1))))
	}
	return cmps, ops
}

// record returns the record of the write. If that does not fit into the transaction, it is a part that is put first, and does no harm
// alone: it goes with the version whose number it has.
func (w *write) record(b *base, number int64) (rec []byte, part *clientv3.Op) {
	r := record{
		Format: 1, ID: w.id, Time: time.Now().UTC().Truncate(time.Millisecond), Author: w.author, Comment: w.comment,
		Changes: w.changes(b),
	}
	room := maxRequest
	for _, path := range w.paths {
		room -= len(w.values[path]) + 3*len(w.keys[path])
	}
	rec = encode(r)
	if len(rec) <= room {
		return rec, nil
	}
	if len(rec) > maxRequest {
		for path, c := range r.Changes {
			if c.Before != nil && !c.Before.Gone {
				r.Changes[path] = recorded{Before: &content{Dropped: true}, After: c.After}
			}
		}
		rec = encode(r)
	}
	op := clientv3.OpPut(w.slot(number)+"/"+w.id, string(rec))
	r.Part, r.Changes = w.id, nil
	return encode(r), &op
}

// changes tells what the write changes, and what stood there where the version just before does not tell it: somebody wrote past the
// store, or that version wrote other paths.
func (w *write) changes(b *base) map[string]recorded {
	changes := map[string]recorded{}
	for _, path := range w.paths {
		c := recorded{After: newContent(w.values[path])}
		if kv := b.found[path]; kv == nil || kv.ModRevision != b.headRevision() {
			before := newContent(nil)
			if kv != nil {
				before = newContent(append([]byte{}, kv.Value...))
			}
			c.Before = &before
		}
		changes[path] = c
	}
	return changes
}
