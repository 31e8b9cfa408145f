package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
)

// create makes the key, if it is not there. If the answer is lost, it may be made at any time until the fence is written again.
func (r *Registration) create(ctx context.Context, epoch hub.Epoch, rec *record, text string) error {
	return r.fenced(ctx, epoch, rec, text, clientv3.Compare(clientv3.CreateRevision(r.key), "=", 0))
}

// fenced is a write that Register may have to take back.
func (r *Registration) fenced(ctx context.Context, epoch hub.Epoch, rec *record, text string, is clientv3.Cmp) error {
	fence, rev := r.hub.Fence(epoch)
	before, mod, beside := r.stood.doubt, r.stood.mod, r.stood.beside.mod
	r.stood.doubt = &doubt{epoch: epoch, fence: rev, before: r.seen()}
	done, err := r.commit(ctx, epoch, rec, text, is, fence)
	if err == nil || errors.Is(err, ErrTaken) || retry.Of(err) != retry.Unknown {
		r.stood.doubt = before // this one was answered: it has happened, or never will
	}
	if err == nil && !done && r.stood.mod == mod && r.stood.beside.mod == beside { // the keys are as they were, so it was the fence
		return r.hub.Refence(ctx, epoch, rev)
	}
	return err
}

// replace writes the key, if nobody else has since. A late one is void as soon as another write is known to have happened; until the key was ours for
// the first time, which it may never be, the fence makes it so.
func (r *Registration) replace(ctx context.Context, epoch hub.Epoch, rec *record, text string) error {
	is := clientv3.Compare(clientv3.ModRevision(r.key), "=", r.stood.mod)
	var err error
	if r.had {
		_, err = r.commit(ctx, epoch, rec, text, is)
	} else {
		err = r.fenced(ctx, epoch, rec, text, is)
	}
	if err != nil {
		r.suspect()
	}
	return err
}

// commit writes the key if all that is compared is so, and etcd's own record beside it; else it takes note of what stands there.
func (r *Registration) commit(ctx context.Context, epoch hub.Epoch, rec *record, text string, all ...clientv3.Cmp) (done bool, err error) {
	lease := epoch.ID()
	then := []clientv3.Op{clientv3.OpPut(r.key, text, clientv3.WithLease(lease))}
	moreIf, also, beside, err := r.also(lease, rec)
	if err != nil {
		return false, err
	}
	if !slices.Contains(r.leases, lease) {
		r.leases = append(r.leases, lease)
	}
	try, cancel := r.patience.Try(ctx)
	defer cancel()
	resp, err := r.hub.Client.Txn(try).If(append(all, moreIf...)...).Then(append(then, also...)...).Else(r.gets()...).Commit()
	if err != nil {
		r.hub.Hooks.Retried("discovery", err)
		return false, fmt.Errorf("key %q: %w", r.key, err)
	}
	r.patience.Reset()
	if !resp.Succeeded {
		return false, r.adoptAll(resp, epoch)
	}
	r.had = true
	r.settle(lease)
	r.found(resp.Header.Revision, text, lease, epoch)
	r.stood.beside = beside.happened(resp.Header.Revision)
	return true, nil
}

// mostPast is how many leases are remembered of those that have nothing of ours any more.
const mostPast = 8

// settle notes that all of ours is under that lease.
func (r *Registration) settle(lease clientv3.LeaseID) {
	for _, before := range r.leases {
		if before != lease && !slices.Contains(r.past, before) {
			r.past = append(r.past, before)
		}
	}
	r.past, r.leases = r.past[max(0, len(r.past)-mostPast):], []clientv3.LeaseID{lease}
}
