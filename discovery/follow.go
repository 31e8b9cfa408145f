package discovery

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"etcdkit/internal/mirror"
	"etcdkit/session"
)

// backlog is how many changes may wait before they are folded: each costs a copy of the list.
const backlog = 16

// follow keeps the view in step until ctx ends, or nothing can be followed any more.
func (v *View) follow(ctx context.Context, release func()) {
	defer release()
	first := true
	for u, err := range v.mirror.Changes(ctx, backlog) {
		if err != nil {
			v.stop(err)
			return
		}
		v.apply(u, first)
		first = false
	}
}

// stop is the end of the following, of which the view goes on with what it has.
func (v *View) stop(err error) {
	since := time.Now().Add(-v.mirror.Stale())
	v.mu.Lock()
	if v.begun { // else Watch returns the error
		if !errors.Is(err, ErrClosed) && !errors.Is(err, session.ErrClosed) {
			v.hub.Log.Error("the service is not followed any more", "service", v.service, "error", err)
		}
		if !v.book.since.IsZero() {
			since = v.book.since
		}
		v.book.turn(since, err, time.Now())
		v.publishLocked()
	}
	v.mu.Unlock()
	v.finish(err)
}

// apply brings an update in. The first one of a walk is the whole state.
func (v *View) apply(u *mirror.Update, first bool) {
	all := v.read(u.Puts)
	gone := v.goodbyes(u)
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	b := &v.book
	if first {
		gone = append(gone, v.missingLocked(all, now)...)
	}
	for _, id := range gone {
		b.vanish(id, now)
	}
	for i := range all {
		v.enterLocked(&all[i])
	}
	b.revision = max(b.revision, u.Revision)
	if first {
		b.revision = u.Revision
	}
	b.turn(u.StaleSince, u.Err, now)
	v.judgeLocked(now)
	v.publishLocked()
}

// read decodes, on all cores where it is worth it.
func (v *View) read(puts []mirror.Put) []reading {
	all := make([]reading, len(puts))
	const share = 256
	if len(puts) < 2*share {
		v.readInto(all, puts)
		return all
	}
	size := max(share, (len(puts)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for from := 0; from < len(puts); from += size {
		to := min(from+size, len(puts))
		group.Go(func() { v.readInto(all[from:to], puts[from:to]) })
	}
	group.Wait()
	return all
}

func (v *View) readInto(all []reading, puts []mirror.Put) {
	for i, p := range puts {
		all[i] = v.source.read(p.Item, v.hub.TTL)
	}
}

// goodbyes forgets the deleted keys of those who said that they leave, and returns whose others were.
func (v *View) goodbyes(u *mirror.Update) (gone []string) {
	for i, item := range u.Deletes {
		id, err := v.source.id(item.Key)
		last := v.source.read(u.Last[i], v.hub.TTL)
		v.mu.Lock()
		delete(v.book.skipped, item.Key)
		if err == nil && last.err == nil && last.state == leaving {
			v.book.drop(id)
		} else if err == nil {
			gone = append(gone, id)
		}
		v.mu.Unlock()
	}
	return gone
}

// missingLocked returns who was there according to the last good file, and is not in the first list. Who may have left long before, when nobody
// looked, is forgotten at once: that is no mass loss. While all is well the file is confirmed only so often.
func (v *View) missingLocked(all []reading, now time.Time) (missing []string) {
	there := make(map[string]bool, len(all))
	if len(v.book.entries) == 0 {
		return nil
	}
	for i := range all {
		there[all[i].ID] = true
	}
	for id, e := range v.book.entries {
		switch {
		case there[id]:
		case now.Sub(v.book.since) > 2*e.ttl+confirmEvery:
			v.book.drop(id)
		default:
			missing = append(missing, id)
		}
	}
	return missing
}

func (v *View) enterLocked(r *reading) {
	b := &v.book
	if r.err == nil {
		delete(b.skipped, r.key)
		b.put(&r.entry)
		return
	}
	b.skipped[r.key] = true // if it was one before, that stays until its key goes: its owner will write it again
	v.hub.Log.Warn("discovery skips a key that is no instance", "service", v.service, "key", r.key, "error", r.err)
}

// judgeLocked keeps those who vanished in a mass loss.
func (v *View) judgeLocked(now time.Time) {
	if n := v.book.judge(now); n > 0 {
		v.hub.Log.Warn("most instances vanished at once and are kept on probation", "service", v.service, "kept", n, "of", len(v.book.entries))
		v.rouse()
	}
}

func (v *View) rouse() {
	select {
	case v.wake <- struct{}{}:
	default: // it has a token already
	}
}
