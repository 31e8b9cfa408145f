package grpcdisc

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/discovery"
	"etcdkit/session"
)

const (
	// patience is how long the first list is waited for before connections are told why there is none. It grows, for lists that take longer.
	patience    = 3 * time.Second
	maxPatience = time.Minute
	// hurry is how long it is waited for where there is a list from former times, whose instances may all be gone.
	hurry = 500 * time.Millisecond
	// pause is between two tries; it grows, too.
	pause    = 100 * time.Millisecond
	maxPause = 10 * time.Second
)

// A service is followed for all connections of a Builder to it, by one goroutine.
type service struct {
	name  string
	users int // protected by the Builder

	last   *discovery.Snapshot            // from former times: for when there is no other; nil if there is none
	view   atomic.Pointer[discovery.View] // nil while there is none
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex // protects what follows
	latest    news
	listeners map[chan<- struct{}]bool
}

// news is what there is to say about a service.
type news struct {
	snapshot *discovery.Snapshot // the last list; nil if there was none yet
	err      error               // why there is none
}

func newService(s *session.Session, name string, last *discovery.Snapshot, opts []discovery.Option) *service {
	ctx, cancel := context.WithCancel(context.Background())
	sv := &service{name: name, last: last, cancel: cancel, done: make(chan struct{}), listeners: make(map[chan<- struct{}]bool)}
	go func() {
		defer close(sv.done)
		sv.follow(ctx, s, opts)
	}()
	return sv
}

// close ends what follows the service, and waits for it.
func (sv *service) close() {
	sv.cancel()
	<-sv.done
}

// follow has a View as long as ctx lives: where one cannot be had, or ends, since the right to read was taken away, or the cluster is
// another one, it takes a new one.
func (sv *service) follow(ctx context.Context, s *session.Session, opts []discovery.Option) {
	wait, patient := pause, patience
	if sv.last != nil {
		patient = hurry
	}
	var before *discovery.Snapshot // what the View before said
	for ctx.Err() == nil {
		opening, cancel := context.WithTimeout(ctx, patient)
		view, err := discovery.Watch(opening, s, sv.name, opts...)
		cancel()
		if err != nil {
			patient = min(max(2*patient, patience), maxPatience)
		} else {
			var went bool
			if went, err = sv.watch(ctx, view, newHandover(before), 2*s.Hub().TTL); went {
				wait, patient = pause, patience
			}
			before = sv.news().snapshot
		}
		if ctx.Err() != nil {
			return
		}
		sv.tell(news{err: err})
		wait = min(2*wait, maxPause)
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
		}
	}
}

// watch tells of all changes until the view ends, and whether it was ever in step with etcd. While the handover lasts, which is no longer than
// limit, the list before counts, too.
func (sv *service) watch(ctx context.Context, view *discovery.View, h *handover, limit time.Duration) (went bool, err error) {
	sv.view.Store(view)
	defer func() {
		sv.view.Store(nil)
		_ = view.Close() // a last good file that is behind is in the session's log
	}()
	both, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for ch, err := range view.Changes(both) {
		if err != nil || !h.takes(ch.Snapshot) {
			break // where the view has ended, the next loop returns why
		}
		went = went || ch.Snapshot.StaleSince.IsZero()
		sv.tell(news{snapshot: h.merged(ch.Snapshot)})
	}
	for ch, err := range view.Changes(ctx) {
		if err != nil {
			return went, err
		}
		went = went || ch.Snapshot.StaleSince.IsZero()
		sv.tell(news{snapshot: ch.Snapshot})
	}
	return went, ctx.Err()
}

// tell keeps what is new, and wakes the connections. A list outlasts an error; with the first error comes the one from former times.
func (sv *service) tell(n news) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if n.snapshot == nil {
		n.snapshot = cmp.Or(sv.latest.snapshot, sv.last)
	}
	sv.latest = n
	for listener := range sv.listeners {
		select {
		case listener <- struct{}{}:
		default: // it has not looked at the last one yet
		}
	}
}

func (sv *service) news() news {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	return sv.latest
}

// listen has a channel written to, which has room for one, whenever there are news; also for those there are.
func (sv *service) listen(c chan<- struct{}) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	sv.listeners[c] = true
	if sv.latest != (news{}) {
		c <- struct{}{}
	}
}

func (sv *service) leave(c chan<- struct{}) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	delete(sv.listeners, c)
}
