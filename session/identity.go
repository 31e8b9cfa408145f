package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
)

// identity is the session key of one lease: it tells others who we are, and its revision is the fence of our own claims. Each claim
// compares it; after an unknown outcome it is written again, and from then on the claims sent before can no longer commit.
type identity struct {
	client *clientv3.Client
	key    string
	value  string
	lease  clientv3.LeaseID

	mu      sync.Mutex // protects what follows
	rev     int64      // ModRevision of the last acknowledged write
	writing *write     // under way, shared by all who need it
}

// write is one attempt to write the session key, until it is acknowledged or cannot be.
type write struct {
	done chan struct{}
	err  error // set before done is closed
}

func newIdentity(client *clientv3.Client, key string, lease clientv3.LeaseID, value string) *identity {
	return &identity{client: client, key: key, value: value, lease: lease}
}

// fence is the revision that claims compare.
func (i *identity) fence() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.rev
}

// put writes the key until that is acknowledged, ctx ends or it is refused. A write whose answer was lost may commit later and
// outdate the revision; the claim that meets it fails its compare and asks for another write.
func (i *identity) put(ctx context.Context) error {
	var refused error // what trying again will not mend soon: a full store, a lease that is gone
	err := retry.Do(ctx, func(ctx context.Context) error {
		resp, err := i.client.Put(ctx, i.key, i.value, clientv3.WithLease(i.lease))
		if errors.Is(err, rpctypes.ErrNoSpace) || errors.Is(err, rpctypes.ErrLeaseNotFound) {
			refused = err
			return nil
		}
		if err != nil {
			return err
		}
		i.mu.Lock()
		i.rev = resp.Header.Revision
		i.mu.Unlock()
		return nil
	})
	if err = cmp.Or(err, refused); err != nil {
		return fmt.Errorf("session key %q: %w", i.key, err)
	}
	return nil
}

// refresh writes the key again unless its revision differs from stale already. run starts the goroutine that does it; those who
// come meanwhile wait for the same write, each as long as its own ctx.
func (i *identity) refresh(ctx context.Context, stale int64, run func(func(context.Context)) bool) error {
	i.mu.Lock()
	if i.rev != stale {
		i.mu.Unlock()
		return nil
	}
	w := i.writing
	if w == nil {
		w = &write{done: make(chan struct{})}
		if !run(func(ctx context.Context) { i.finish(w, i.put(ctx)) }) {
			i.mu.Unlock()
			return ErrClosed
		}
		i.writing = w
	}
	i.mu.Unlock()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (i *identity) finish(w *write, err error) {
	i.mu.Lock()
	i.writing = nil
	i.mu.Unlock()
	w.err = err
	close(w.done)
}
