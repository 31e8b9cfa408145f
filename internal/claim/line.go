package claim

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/session"
)

// A Line is one session's place in one line. All callers of a session that mean the same line share one, unless they want a key of their
// own.
type Line struct {
	hub    *hub.Hub
	id     string // under which the hub shares it
	prefix string // of all keys in the line, ending in a slash
	end    string // of its range
	place  int    // which of the session's places it is, where each caller has one of its own

	mu       sync.Mutex // protects what follows
	busy     bool       // somebody is the front
	parked   *turn      // what the last front left, while there is no front
	cleaning bool       // a clean-up was handed to the janitor
	tidying  bool       // the janitor is the front
	waiters  []*waiter
	stake    *stake          // of the front, if it holds
	taken    map[string]bool // names of ours that somebody else uses, or a stake that has stepped aside
}

// waiter is a caller that queues in memory. The turn is sent under the line's lock, so a waiter that is not in the queue has it.
type waiter struct {
	claim Claim
	turn  chan turn
}

// A turn is all that one front hands to the next. At most one of its parts is there.
type turn struct {
	entry *entry
	debt  *debt
	join  *stake // not the turn, but a share in what the front holds
}

// An entry is a key of ours that stands in the line.
type entry struct {
	key   string
	value string
	rev   int64 // its create revision
	epoch hub.Epoch
	first bool      // nothing was in its way when it was put, which makes it the holder
	ahead *obstacle // what is in its way, as of the revision seen; nil when that has to be looked up
	seen  int64
	mod   int64 // the revision at which it was last written, as far as is known

	crowded bool // so many are before it that it cannot hold yet, whoever they are
	heard   bool // who put it has waited to be told
}

// A debt is what has to be settled before the line can be granted to this session again.
type debt struct {
	epoch hub.Epoch // all of it is gone with its lease

	key   string // to be deleted, if its create revision is rev; "" if there is none
	rev   int64
	doubt bool // a request with an unknown outcome may have deleted it

	reads   []clientv3.Op    // what is read in the transaction that deletes it
	answers []*pb.ResponseOp // to these; nil unless it is known that this very transaction has happened

	slot  string // in which a put may have left a key, or may yet; "" if there is none
	value string // of that key
	fence int64  // the revision that this put compared; 0 if the deletion of key decides
}

// ErrBusy says that the line is not free. The owner is told by Owners.
var ErrBusy = errors.New("busy")

// open returns the session's place in the line of keys under prefix, which ends in a slash. Each open needs one close.
func open(h *hub.Hub, prefix string) *Line {
	id := "line " + prefix
	return h.Share(id, func() (any, func()) { return newLine(h, id, prefix), nil }).(*Line)
}

func newLine(h *hub.Hub, id, prefix string) *Line {
	return &Line{hub: h, id: id, prefix: prefix, end: keyspace.End(prefix), taken: make(map[string]bool)}
}

// reopen is one more open.
func (l *Line) reopen() {
	l.hub.Share(l.id, func() (any, func()) { panic("claim: a line was closed while it was in use") })
}

// close gives back what open returned.
func (l *Line) close() { l.hub.Unshare(l.id) }

// acquire waits for the line as the claim says.
func (l *Line) acquire(ctx context.Context, c Claim) (*Held, error) {
	asked := time.Now()
	for {
		held, refused, err := l.join(ctx, c, asked)
		if held != nil || err != nil {
			return held, err
		}
		t, err := l.enter(ctx, c, refused, nil)
		if err != nil {
			return nil, err
		}
		if t.join == nil {
			return l.lead(ctx, &front{Line: l, claim: c, turn: t}, "claim in", (*front).wait)
		}
		if t.join.ctx.Err() == nil {
			return t.join.held(ctx, asked), nil
		}
		t.join.leave() // what was to be shared is lost already
	}
}

// lead makes the front win the line, or pass what it leaves on.
func (l *Line) lead(ctx context.Context, f *front, what string, s step) (*Held, error) {
	held, err := f.win(ctx, what, s)
	if err != nil {
		if tooMany(err) {
			_ = l.discard(ctx, &f.turn) // at once, since there is time; else the janitor does it
		}
		l.pass(f.turn)
	}
	return held, err
}

// enter waits in memory until the caller is the front, or is let in beside it, unless that was refused. admitLocked, if there is one, may
// turn it away first.
func (l *Line) enter(ctx context.Context, c Claim, refused *refusal, admitLocked func() error) (turn, error) {
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
	if t, ok := l.besideLocked(c, refused); ok {
		l.mu.Unlock()
		return t, nil
	}
	w := &waiter{claim: c, turn: make(chan turn, 1)}
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
		l.decline(<-w.turn) // it came at the same moment
	}
	return turn{}, err
}

// decline gives back a turn that came too late: the next one has it.
func (l *Line) decline(t turn) {
	if t.join == nil {
		l.pass(t)
		return
	}
	l.reopen()
	h := t.join.held(l.hub.Context(), time.Now())
	if !l.hub.Go(func(ctx context.Context) { _ = h.Release(ctx) }) { // whose context is over must not wait for it
		h.End(session.ErrClosed)
		if h.isMine() { // else the loss of the stake has closed it
			l.close()
		}
	}
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

// nextLocked takes the first caller out of the queue.
func (l *Line) nextLocked() *waiter {
	w := l.waiters[0]
	l.waiters = slices.Delete(l.waiters, 0, 1)
	return w
}

// queued returns the claim of the caller that is the next in memory.
func (l *Line) queued() (Claim, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiters) == 0 {
		return Claim{}, false
	}
	return l.waiters[0].claim, true
}

// pass ends being the front: the next caller gets the turn, or else the janitor if there is something to settle.
func (l *Line) pass(t turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stake, l.tidying = nil, false
	if len(l.waiters) > 0 {
		l.nextLocked().turn <- t
		return
	}
	l.busy = false
	if t == (turn{}) {
		return
	}
	l.parked = &t
	if !l.cleaning {
		l.cleaning = true
		l.reopen()
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
func (l *Line) slot(e hub.Epoch, c Claim, not string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	base := l.prefix + c.Rule.mark() + strconv.FormatInt(int64(e.ID()), 16)
	if l.place > 0 {
		base += "." + strconv.Itoa(l.place)
	}
	for n := 0; ; n++ {
		name := base
		if n > 0 {
			name += "-" + strconv.Itoa(n)
		}
		name += c.Tag
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

// free gives back a name of ours.
func (l *Line) free(slot string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.taken, slot)
}

// errAgain says that the front has to look again: something moved. It never leaves the package.
var errAgain = errors.New("look again")
