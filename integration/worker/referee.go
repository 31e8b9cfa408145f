package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/history"
)

// A Referee watches the raw keys of the locks below a prefix, from before the first of them, and writes down when each was gone.
type Referee struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex // protects what follows
	keys map[string]*history.Key
	all  []*history.Key
	err  error
	rev  int64 // up to which everything was seen
}

// Watch starts a referee on a client of its own, whose connection nobody breaks, before anything is in the lines. lines maps the key prefix of
// each line to the name of its lock.
func Watch(client *clientv3.Client, lines map[string]string) *Referee {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Referee{cancel: cancel, done: make(chan struct{}), keys: make(map[string]*history.Key)}
	rev, err := client.Get(ctx, "\x00", clientv3.WithCountOnly())
	if err != nil {
		r.err = fmt.Errorf("the referee could not begin: %w", err)
		rev = &clientv3.GetResponse{Header: new(pb.ResponseHeader)}
	}
	watches := make([]clientv3.WatchChan, 0, len(lines))
	names := make([]string, 0, len(lines))
	for prefix, name := range lines {
		watches = append(watches, client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(rev.Header.Revision+1)))
		names = append(names, name)
	}
	var all sync.WaitGroup
	for i, w := range watches {
		all.Go(func() { r.follow(w, names[i]) })
	}
	go func() { all.Wait(); close(r.done) }() // Stop waits for it
	return r
}

func (r *Referee) follow(w clientv3.WatchChan, name string) {
	for resp := range w {
		at := Now()
		r.mu.Lock()
		if err := resp.Err(); err != nil && r.err == nil && !errors.Is(err, context.Canceled) {
			r.err = fmt.Errorf("the referee lost sight of %s: %w", name, err)
		}
		for _, ev := range resp.Events {
			r.noteLocked(name, ev, at)
		}
		r.mu.Unlock()
	}
}

func (r *Referee) noteLocked(name string, ev *clientv3.Event, at int64) {
	key := string(ev.Kv.Key)
	r.rev = max(r.rev, ev.Kv.ModRevision)
	if ev.Type == clientv3.EventTypeDelete {
		if k := r.keys[key]; k != nil {
			k.Deleted, k.Rev = at, ev.Kv.ModRevision
			delete(r.keys, key)
		}
		return
	}
	if ev.IsCreate() {
		k := &history.Key{Name: name, Token: ev.Kv.CreateRevision, Lease: ev.Kv.Lease}
		r.keys[key] = k
		r.all = append(r.all, k)
	}
}

// Stop ends the referee, once it has seen everything up to a revision, and returns what it saw.
func (r *Referee) Stop(ctx context.Context, client *clientv3.Client, line string) ([]history.Key, error) {
	// A key of our own in the line: when it is seen, everything before it was.
	probe := strings.TrimSuffix(line, "/") + "/~referee"
	resp, err := client.Put(ctx, probe, "")
	if err != nil {
		return nil, err
	}
	for {
		r.mu.Lock()
		seen, err := r.rev, r.err
		r.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if seen >= resp.Header.Revision {
			break
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	r.cancel()
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]history.Key, 0, len(r.all))
	for _, k := range r.all {
		if k.Token != resp.Header.Revision {
			keys = append(keys, *k)
		}
	}
	return keys, nil
}
