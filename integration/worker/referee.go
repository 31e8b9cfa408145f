package worker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/history"
)

// A Referee watches all keys of a crew, from before the first of them, and writes down what happened in the lines and what was
// written under guards.
type Referee struct {
	prefix string
	lines  map[string]string // the prefix of a line's keys, and its name
	job    job               // that of the keys in them
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex // protects what follows
	keys   map[string]*history.Key
	all    []*history.Key
	stored []history.Stored
	turns  []history.Disturbance // changes of leader
	term   uint64
	last   int64 // when something was seen
	rev    int64 // up to which everything was seen
	moved  chan struct{}
	err    error
}

// Watch starts a referee on a client of its own, whose connection nobody breaks, before anything is under the prefix.
func Watch(client *clientv3.Client, prefix, job string, lines map[string]string) *Referee {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Referee{
		prefix: prefix, lines: lines, job: jobs[job], cancel: cancel, done: make(chan struct{}),
		keys: make(map[string]*history.Key), moved: make(chan struct{}), last: Now(),
	}
	begin, err := client.Get(ctx, prefix, clientv3.WithCountOnly())
	if err != nil {
		r.err = fmt.Errorf("the referee could not begin: %w", err)
		close(r.done)
		return r
	}
	r.term = begin.Header.RaftTerm
	w := client.Watch(ctx, prefix+"/", clientv3.WithPrefix(), clientv3.WithRev(begin.Header.Revision+1))
	go r.follow(w) // Stop waits for it
	return r
}

func (r *Referee) follow(w clientv3.WatchChan) {
	defer close(r.done)
	for resp := range w {
		at := Now()
		r.mu.Lock()
		if err := resp.Err(); err != nil && r.err == nil && !errors.Is(err, context.Canceled) {
			r.err = fmt.Errorf("the referee lost sight of %s: %w", r.prefix, err)
		}
		r.led(resp.Header.RaftTerm, at)
		for _, ev := range resp.Events {
			r.note(ev, at)
		}
		close(r.moved)
		r.moved = make(chan struct{})
		r.mu.Unlock()
	}
}

// led takes note of the raft term. r.mu is held.
func (r *Referee) led(term uint64, at int64) {
	if term > r.term && r.term != 0 {
		r.turns = append(r.turns, history.Disturbance{What: "another leader", From: r.last, To: at})
	}
	r.term, r.last = max(r.term, term), at
}

// note takes note of an event. r.mu is held.
func (r *Referee) note(ev *clientv3.Event, at int64) {
	key := string(ev.Kv.Key)
	r.rev = max(r.rev, ev.Kv.ModRevision)
	if name, ok := strings.CutPrefix(key, data(r.prefix)); ok && ev.Type == clientv3.EventTypePut {
		token, _ := strconv.ParseInt(string(ev.Kv.Value), 10, 64)
		r.stored = append(r.stored, history.Stored{Name: name, Token: token, Rev: ev.Kv.ModRevision})
	}
	for line, name := range r.lines {
		if strings.HasPrefix(key, line) {
			r.noteKey(name, ev, at)
		}
	}
}

func (r *Referee) noteKey(name string, ev *clientv3.Event, at int64) {
	key := string(ev.Kv.Key)
	switch {
	case ev.Type == clientv3.EventTypeDelete:
		if k := r.keys[key]; k != nil {
			k.Deleted, k.Rev = at, ev.Kv.ModRevision
			delete(r.keys, key)
		}
	case ev.IsCreate():
		k := &history.Key{Name: name, Token: ev.Kv.CreateRevision, Created: at, Lease: ev.Kv.Lease}
		if r.job.portion != nil {
			k.Portion = r.job.portion(key, string(ev.Kv.Value))
		}
		r.keys[key] = k
		r.all = append(r.all, k)
	}
}

// Await waits until the referee has seen everything up to a revision.
func (r *Referee) Await(ctx context.Context, rev int64) error {
	for {
		r.mu.Lock()
		seen, err, moved := r.rev, r.err, r.moved
		r.mu.Unlock()
		if err != nil || seen >= rev {
			return err
		}
		select {
		case <-moved:
		case <-r.done:
			return errors.New("the referee was stopped")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Leases are those of all keys that were seen.
func (r *Referee) Leases() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []int64
	for _, k := range r.all {
		all = append(all, k.Lease)
	}
	return all
}

// Stop ends the referee, and adds what it saw to the history.
func (r *Referee) Stop(ctx context.Context, client *clientv3.Client, h *history.History) error {
	defer func() { r.cancel(); <-r.done }()
	// A write of our own: when it is seen, everything before it was.
	resp, err := client.Put(ctx, r.prefix+"/referee", time.Now().String())
	if err == nil {
		err = r.Await(ctx, resp.Header.Revision)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h.Size = r.job.size
	for _, k := range r.all {
		h.Keys = append(h.Keys, *k)
	}
	h.Stored = append(h.Stored, r.stored...)
	h.Disturbances = append(h.Disturbances, r.turns...)
	return errors.Join(err, r.err)
}
