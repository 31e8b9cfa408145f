package election

import (
	"context"
	"maps"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/internal/mirror"
	"etcdkit/session"
)

const (
	backlog   = 1024        // changes that an observer may be behind
	strangers = 128         // sessions whose words about themselves are remembered
	asking    = time.Second // for a session's words about itself, which observers wait for
)

// follower makes of what happens in a line the story of its leaders, once for all observers of a session.
type follower struct {
	hub    *hub.Hub
	mirror *mirror.Mirror
	prefix string
	start  func() // its goroutine, once

	// For its goroutine alone.
	line  map[string]*mirror.Item
	infos map[clientv3.LeaseID]hub.Info

	mu        sync.Mutex // protects what follows
	now       *Leader    // whom the observers were told of last; nil before the first
	mod       int64      // the revision of its key
	end       error
	observers map[*observer]struct{}
}

// observer is one who walks over the leaders.
type observer struct {
	wake chan struct{} // holds a token when there is something to tell

	// Protected by the follower's mutex.
	queue   []*Leader
	skipped int
}

// newFollower returns what the hub shares: the follower, and what ends it.
func newFollower(h *hub.Hub, m *mirror.Mirror, prefix string) (f any, end func()) {
	ctx, cancel := context.WithCancel(h.Context())
	n := &follower{
		hub: h, mirror: m, prefix: prefix,
		line:      make(map[string]*mirror.Item),
		infos:     make(map[clientv3.LeaseID]hub.Info),
		observers: make(map[*observer]struct{}),
	}
	n.start = sync.OnceFunc(func() { h.Go(func(context.Context) { n.follow(ctx) }) })
	return n, cancel
}

// follow is the follower's goroutine.
func (f *follower) follow(ctx context.Context) {
	for u, err := range f.mirror.Changes(ctx, backlog) {
		if err != nil {
			f.finish(err)
			return
		}
		for _, item := range u.Deletes {
			delete(f.line, item.Key)
		}
		for _, p := range u.Puts {
			f.line[p.Key] = p.Item
		}
		l, mod := f.leader(ctx)
		l.StaleSince = u.StaleSince
		f.tell(l, mod, u.Folded)
	}
}

// leader is who leads, and when its key was last written.
func (f *follower) leader(ctx context.Context) (*Leader, int64) {
	first := oldest(f.line)
	if first == nil {
		return new(Leader), 0
	}
	o := claim.Owner{
		Key: first.Key, Value: string(first.Value), Token: session.Token(first.CreateRevision), Lease: first.Lease,
		Info: f.info(ctx, first.Lease),
	}
	return newLeader(o, f.prefix), first.ModRevision
}

// oldest is the key that was put first.
func oldest(line map[string]*mirror.Item) (first *mirror.Item) {
	for _, item := range line {
		if first == nil || item.CreateRevision < first.CreateRevision {
			first = item
		}
	}
	return first
}

// info asks what a session says of itself, once. Where that cannot be read the leader is told without.
func (f *follower) info(ctx context.Context, lease clientv3.LeaseID) hub.Info {
	info, known := f.infos[lease]
	if known {
		return info
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	info, err := claim.Introduce(ctx, f.hub, lease)
	if err != nil {
		f.hub.Log.Debug("a leader's session says nothing of itself", "prefix", f.prefix, "error", err)
		return hub.Info{}
	}
	if len(f.infos) >= strangers {
		clear(f.infos)
	}
	f.infos[lease] = info
	return info
}

// tell tells all observers of the leader, unless that is no news.
func (f *follower) tell(l *Leader, mod int64, skipped int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for o := range f.observers {
		o.skipped += skipped
	}
	if f.now != nil && f.now.Token == l.Token && f.mod == mod && f.now.StaleSince.IsZero() == l.StaleSince.IsZero() {
		return
	}
	f.now, f.mod = l, mod
	for o := range f.observers {
		o.pushLocked(l)
	}
}

// pushLocked adds what the observer is to be told, at the cost of the oldest if that is too much.
func (o *observer) pushLocked(l *Leader) {
	o.queue = append(o.queue, l)
	if len(o.queue) > backlog {
		o.queue = o.queue[1:]
		o.skipped++
	}
	select {
	case o.wake <- struct{}{}:
	default: // it has a token already
	}
}

// finish tells all observers that there is nothing more to come.
func (f *follower) finish(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end = err
	for o := range f.observers {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// join is a new observer, who is told who leads first.
func (f *follower) join() *observer {
	o := &observer{wake: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observers[o] = struct{}{}
	if f.now != nil {
		o.pushLocked(f.now)
	}
	return o
}

func (f *follower) part(o *observer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.observers, o)
}

// next waits for what the observer is to be told next. What was known when the follower ended comes before why.
func (f *follower) next(ctx context.Context, o *observer) (*Leader, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if l, err := f.take(o); l != nil || err != nil {
			return l, err
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
		}
	}
}

// take returns a copy for this observer of what is next, or the end, or neither.
func (f *follower) take(o *observer) (*Leader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(o.queue) == 0 {
		return nil, f.end
	}
	l := *o.queue[0]
	l.Labels = maps.Clone(l.Labels)
	o.queue = o.queue[1:]
	l.Skipped, o.skipped = o.skipped, 0
	return &l, nil
}
