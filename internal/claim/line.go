package claim

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
)

// A Line is one session's place in one line. All callers of a session that mean the same line share one.
type Line struct {
	hub    *hub.Hub
	prefix string // of all keys in the line, ending in a slash
	end    string // of its range

	mu       sync.Mutex // protects what follows
	busy     bool       // somebody is the front
	parked   *turn      // what the last front left, while there is no front
	cleaning bool       // a clean-up was handed to the janitor
	tidying  bool       // the janitor is the front
	waiters  []*waiter
	held     *Held           // by the front, if it holds
	taken    map[string]bool // names of ours that somebody else uses
}

// waiter is a caller that queues in memory. The turn is sent under the line's lock, so a waiter that is not in the queue has it.
type waiter struct {
	turn chan turn
}

// A turn is all that one front hands to the next. At most one of its parts is there.
type turn struct {
	entry *entry
	debt  *debt
}

// An entry is a key of ours that stands in the line.
type entry struct {
	key   string
	rev   int64 // its create revision
	epoch hub.Epoch
	first bool      // nothing was before it when it was put, which makes it the holder
	pred  *neighbor // the key before it, as of the revision seen; nil when that has to be looked up
	seen  int64
}

// A neighbor is the key before ours.
type neighbor struct {
	key string
	rev int64
}

// A debt is what has to be settled before the line can be granted to this session again.
type debt struct {
	epoch hub.Epoch // all of it is gone with its lease

	key   string // to be deleted, if its create revision is rev; "" if there is none
	rev   int64
	doubt bool // a request with an unknown outcome may have deleted it

	slot  string // in which a put may have left a key, or may yet; "" if there is none
	fence int64  // the revision that this put compared; 0 if the deletion of key decides
}

// ErrBusy says that the line is not free. The owner is told by Owners.
var ErrBusy = errors.New("busy")

// open returns the session's place in the line of keys under prefix, which ends in a slash. Each open needs one close.
func open(h *hub.Hub, prefix string) *Line {
	return h.Share("line "+prefix, func() (any, func()) {
		return &Line{hub: h, prefix: prefix, end: keyspace.End(prefix), taken: make(map[string]bool)}, nil
	}).(*Line)
}

// close gives back what open returned.
func (l *Line) close() { l.hub.Unshare("line " + l.prefix) }

// Acquire waits until the session holds the line of keys under prefix, which ends in a slash, or ctx ends. Callers of one session
// queue in memory, first come first served.
func Acquire(ctx context.Context, h *hub.Hub, prefix string) (*Held, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	l := open(h, prefix)
	held, err := l.acquire(ctx)
	if err != nil {
		l.close()
	}
	return held, err
}

func (l *Line) acquire(ctx context.Context) (*Held, error) {
	t, err := l.enter(ctx, nil)
	if err != nil {
		return nil, err
	}
	held, err := l.win(ctx, "claim in", &t, l.wait)
	if err != nil {
		l.pass(t)
	}
	return held, err
}

// enter waits in memory until the caller is the front. admitLocked, if there is one, may turn it away first.
func (l *Line) enter(ctx context.Context, admitLocked func() error) (turn, error) {
	if ctx.Err() != nil {
		return turn{}, context.Cause(ctx)
	}
	l.mu.Lock()
	if admitLocked != nil {
		if err := admitLocked(); err != nil {
			l.mu.Unlock()
			return turn{}, err
		}
	}
	if !l.busy {
		defer l.mu.Unlock()
		return l.takeLocked(), nil
	}
	w := &waiter{turn: make(chan turn, 1)}
	l.waiters = append(l.waiters, w)
	l.mu.Unlock()
	l.hub.Hooks.Queued(l.prefix)

	var err error
	select {
	case t := <-w.turn:
		return t, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-l.hub.Context().Done():
		err = context.Cause(l.hub.Context())
	}
	if !l.forget(w) {
		l.pass(<-w.turn) // it came at the same moment: the next one has it
	}
	return turn{}, err
}

// takeLocked makes the caller the front.
func (l *Line) takeLocked() turn {
	l.busy = true
	var t turn
	if l.parked != nil {
		t, l.parked = *l.parked, nil
	}
	return t
}

// forget takes a waiter out of the queue. It is false if the waiter was given the turn.
func (l *Line) forget(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiters, w)
	if i < 0 {
		return false
	}
	l.waiters = slices.Delete(l.waiters, i, i+1)
	return true
}

// queued tells whether a caller waits in memory.
func (l *Line) queued() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiters) > 0
}

// pass ends being the front: the next caller gets the turn, or else the janitor if there is something to settle.
func (l *Line) pass(t turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.tidying = nil, false
	if len(l.waiters) > 0 {
		w := l.waiters[0]
		l.waiters = slices.Delete(l.waiters, 0, 1)
		w.turn <- t
		return
	}
	l.busy = false
	if t == (turn{}) {
		return
	}
	l.parked = &t
	if !l.cleaning {
		l.cleaning = true
		open(l.hub, l.prefix)
		l.hub.CleanUp("line "+l.prefix, l.clean)
	}
}

// clean is what the janitor does: it becomes the front, deletes what stands in the line, and settles. A caller that comes while the
// janitor pauses takes over.
func (l *Line) clean(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.busy || l.parked == nil {
			l.cleaning = false
			l.mu.Unlock()
			l.close()
			return nil
		}
		t := l.takeLocked()
		l.tidying = true
		l.mu.Unlock()

		err := l.discard(ctx, &t)
		l.pass(t)
		if err != nil {
			return err
		}
	}
}

// slot returns a name for a key of the epoch's session, other than not. Names that somebody else used are left alone.
func (l *Line) slot(e hub.Epoch, not string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	base := l.prefix + strconv.FormatInt(int64(e.ID()), 16)
	for n := 0; ; n++ {
		name := base
		if n > 0 {
			name += "-" + strconv.Itoa(n)
		}
		if name != not && !l.taken[name] {
			return name
		}
	}
}

// avoid remembers that somebody else uses a name of ours.
func (l *Line) avoid(slot string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken[slot] = true
}

// errAgain says that the front has to look again: something moved. It never leaves the package.
var errAgain = errors.New("look again")
