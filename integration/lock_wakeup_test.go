package integration

import (
	"context"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// gate is a Watcher that keeps the first watch below a prefix waiting.
type gate struct {
	clientv3.Watcher
	prefix  string
	reached chan struct{} // closed when there is such a watch
	open    chan struct{}
}

func (g *gate) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	if strings.HasPrefix(key, g.prefix) && !closed(g.reached) {
		close(g.reached)
		<-g.open
	}
	return g.Watcher.Watch(ctx, key, opts...)
}

// The holder lets go after the waiter has read who is before it, and before the waiter's watch begins.
func TestAReleaseBeforeTheWatch(t *testing.T) {
	t.Parallel()
	prefix, waiting := cluster.Prefix(t), cluster.Shared(t)
	holder := lock.NewMutex(open(t, cluster.Shared(t), prefix), "x")
	g := &gate{waiting.Watcher, holder.Key(), make(chan struct{}), make(chan struct{})}
	waiting.Watcher = g
	h := mustLock(t, holder)
	held := async(t, lock.NewMutex(open(t, waiting, prefix), "x"))
	done(t, "the waiter's watch", g.reached)
	mustUnlock(t, h)
	close(g.open)
	mustUnlock(t, next(t, held))
}
