package claim

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"etcdkit/internal/hub"
	"etcdkit/session"
)

// BusyError says that the line is not free, and whose it is as far as is known. It unwraps to ErrBusy.
type BusyError struct {
	Owner Owner
}

// Error says that the line is busy.
func (e *BusyError) Error() string { return ErrBusy.Error() }

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// tryAcquire becomes the front if nobody here holds or waits, or holds by the same key as others. It does wait for the janitor, who settles
// what an earlier caller left: that is no holder.
func (l *Line) tryAcquire(ctx context.Context, c Claim) (*Held, error) {
	asked := time.Now()
	held, refused, err := l.join(ctx, c, asked)
	switch {
	case held != nil || err != nil:
		return held, err
	case refused != nil:
		return nil, l.busyWith(ctx, refused.by)
	}
	t, err := l.enter(ctx, c, nil, func() error { return l.admitLocked(c) })
	if err != nil {
		return nil, err
	}
	if t.join != nil {
		return t.join.held(ctx, asked), nil
	}
	f := &front{Line: l, claim: c, turn: t}
	if f.turn == (turn{}) { // otherwise a key in the line may be ours
		if err := f.glimpse(ctx); err != nil { // it needs no lease
			l.pass(f.turn)
			return nil, err
		}
	}
	return l.lead(ctx, f, "try", (*front).glance)
}

// errElsewhere says that somebody of this session is on his way into the line, and that it is not known whether he is in the way of those
// who could hold beside him: a key of their own will tell.
var errElsewhere = errors.New("the place is taken")

// admitLocked says what is in the way of a caller who does not wait.
func (l *Line) admitLocked(c Claim) error {
	switch {
	case !l.busy || l.tidying && len(l.waiters) == 0:
		return nil
	case !c.Rule.shares():
		return &BusyError{Owner: l.ownLocked()}
	case l.stake != nil && l.stake.sharesLocked():
		return nil
	}
	return errElsewhere
}

// ownLocked describes this session as the one that keeps the line busy.
func (l *Line) ownLocked() Owner {
	var o Owner
	if s := l.stake; s != nil {
		o.Key, o.Token, o.Lease, o.Holder = s.key, session.Token(s.rev), s.epoch.ID(), true
	}
	o.Info = l.hub.Self
	return o
}

// glance is the step of who does not wait.
func (f *front) glance(ctx context.Context, e hub.Epoch) error {
	err := f.settle(ctx, e)
	switch {
	case err != nil:
		return err
	case f.entry == nil:
		return f.putAlone(ctx, e)
	case !f.entry.first || f.entry.epoch != e:
		return f.tryLeft(ctx)
	}
	return nil
}

// tryLeft looks whether the key that an earlier caller left in the line holds now.
func (f *front) tryLeft(ctx context.Context) error {
	first, err := f.look(ctx)
	if err != nil || first {
		return err
	}
	if err := f.glimpse(ctx); err != nil {
		return err
	}
	return errAgain
}

// glimpse returns a *BusyError if a key that was put now would not hold, and else takes note of a compare that is true as long as it would.
func (f *front) glimpse(ctx context.Context) error {
	var seen glimpse
	err := f.hub.Do(ctx, "look at "+f.prefix, func(ctx context.Context) (err error) {
		seen, err = f.claim.Rule.glimpse(ctx, f.Line)
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case seen.refused != nil:
		return seen.refused
	case seen.culprit != nil:
		return f.busyWith(ctx, seen.culprit)
	}
	f.room = seen.room
	return nil
}

// busyWith is the error that names who is in the way.
func (l *Line) busyWith(ctx context.Context, key *mvccpb.KeyValue) error {
	known := l.hub.Share("heads", func() (any, func()) { return new(heads), nil }).(*heads) // as long as the session
	owner := Owner{Key: string(key.Key), Token: session.Token(key.CreateRevision), Holder: true}
	if o, ok := known.get(owner.Key, owner.Token); ok {
		return &BusyError{Owner: o}
	}
	owners, err := Owners(ctx, l.hub, l.prefix)
	if err != nil {
		l.hub.Log.Debug("who holds a line is not known", "line", l.prefix, "error", err)
	}
	for _, o := range owners {
		if o.Key == owner.Key && o.Token == owner.Token {
			owner = o
			if o.Holder { // a waiter will be one, and is not remembered as what it was
				known.put(o)
			}
		}
	}
	return &BusyError{Owner: owner}
}

// heads remembers whom keys belong to, so that somebody who tries again and again costs one read each time. It is bounded by forgetting
// everything.
type heads struct {
	mu    sync.Mutex // protects byKey
	byKey map[string]Owner
}

const maxHeads = 256

func (h *heads) get(key string, token session.Token) (Owner, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.byKey[key]
	return o, ok && o.Token == token
}

func (h *heads) put(o Owner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey == nil || len(h.byKey) >= maxHeads {
		h.byKey = make(map[string]Owner)
	}
	h.byKey[o.Key] = o
}

// putAlone puts a key of ours if it holds at once.
func (f *front) putAlone(ctx context.Context, e hub.Epoch) error {
	if f.room == nil {
		if err := f.glimpse(ctx); err != nil {
			return err
		}
	}
	slot := f.slot(e, f.claim, "")
	fence, rev := f.hub.Fence(e)
	resp, err := f.send(ctx, append(slices.Clip(f.room), fence, absent(slot)), f.claim.put(slot, e))
	switch {
	case err != nil:
		f.owe(e, slot, rev, err)
		return err
	case resp.Succeeded:
		f.entry = &entry{
			key: slot, value: f.claim.Value, rev: resp.Header.Revision, epoch: e, first: true, seen: resp.Header.Revision,
		}
		return nil
	}
	f.room = nil
	return f.mend(ctx, e, slot, rev)
}
