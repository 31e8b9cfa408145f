package discovery

import (
	"context"
	"log/slog"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/mirror"
	"etcdkit/internal/retry"
)

// sight is what was last seen of the key by watching it.
type sight struct {
	walk     int              // how many walks of the watch have ended before
	heard    bool             // this one has told something
	revision int64            // when it was seen
	mod      int64            // zero if it was not there
	lease    clientv3.LeaseID // that it was under
}

// contradicts tells whether somebody else has changed the key after it was known, at a revision, to be what it was at mod.
func (s sight) contradicts(at, mod int64) bool { return s.revision > at && s.mod != mod }

func (s *sight) tell(u *mirror.Update) {
	*s = sight{walk: s.walk, heard: true, revision: u.Revision}
	for _, p := range u.Puts {
		s.mod, s.lease = p.ModRevision, p.Lease
	}
}

// lookAfter is the age from which a registration watches its key. What happened before is seen then.
const lookAfter = 100 * time.Millisecond

// unheard is how many changes of the key may wait before they are folded, one by one otherwise: what came and went, such as a record that was asked to
// drain and then was lost with the lease, is to be heard of.
const unheard = 64

// look watches a key until ctx ends, and keeps the sight of it: somebody else may write or delete it.
func (r *Registration) look(ctx context.Context, key string, s *sight) {
	pause := retry.Backoff{Max: refusedPause}
	level := slog.LevelWarn
	_ = retry.Pause(ctx, lookAfter) // the loop sees its end
	for ctx.Err() == nil {
		m, release := r.hub.MirrorKey(key)
		var why error
		for u, err := range m.Changes(ctx, unheard) {
			if why = err; err != nil {
				break
			}
			r.see(u, s)
			pause.Reset()
			level = slog.LevelWarn
		}
		release()
		if ctx.Err() != nil {
			return
		}
		r.hub.Log.Log(ctx, level, "the key of an instance cannot be watched, and will be again", "service", r.service, "id", r.id, "key", key, "error", why)
		level = slog.LevelDebug
		// If the history was rewound, what was there may be gone without an event.
		r.mu.Lock()
		*s = sight{walk: s.walk + 1}
		r.distrust = true
		r.tellLocked()
		r.mu.Unlock()
		r.rouse()
		_ = pause.Wait(ctx) // the loop sees its end
	}
}

func (r *Registration) see(u *mirror.Update, s *sight) {
	r.mu.Lock()
	defer r.rouse()
	defer r.mu.Unlock()
	if s.heard && len(u.Puts)+len(u.Deletes) == 0 {
		return // it is about being in step
	}
	s.tell(u)
	for _, p := range u.Puts {
		r.hearLocked(p.Item)
	}
	for _, item := range u.Last {
		r.hearLocked(item)
	}
	r.tellLocked()
}

// hearLocked takes note of a request to drain, which may be gone with the lease before the key is read.
func (r *Registration) hearLocked(item *mirror.Item) {
	if item.Key == r.key && !r.drain && r.asksToDrain(item.Value) && !slices.Contains(r.asked, item.Lease) {
		r.asked = append(r.asked, item.Lease)
	}
}

// heed obeys what the watch has heard of our records. Those of somebody else who had the ID are none of our business.
func (r *Registration) heed() {
	r.mu.Lock()
	asked := r.asked
	r.asked = nil
	r.mu.Unlock()
	ours := func(lease clientv3.LeaseID) bool { return r.isMine(lease) || slices.Contains(r.past, lease) }
	if slices.ContainsFunc(asked, ours) {
		r.comply()
	}
}

func (r *Registration) seen() sight {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sight
}

// missed tells whether the key has gone since the watch last told of it, or, where the answer to a write was lost and then the lease, may have come and
// gone.
func (r *Registration) missed(epoch hub.Epoch) bool {
	d := r.stood.doubt
	if r.stood.gone == 0 && d != nil && d.epoch != epoch && !d.heard {
		d.heard = true
		r.stood.gone, r.stood.walk = d.before.revision, d.before.walk
	}
	return r.had && r.stood.gone != 0
}

// catchUpTime is how long the key is not made again, at most, to hear first what happened to it.
const catchUpTime = 2 * time.Second

// catchUp waits until the watch has told how the key came to go, before it is made again: there may have been a request to drain.
func (r *Registration) catchUp(ctx context.Context) error {
	try, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	for try.Err() == nil {
		r.mu.Lock()
		behind, changed := r.behindLocked(), r.changed
		r.mu.Unlock()
		if !behind {
			break
		}
		select {
		case <-changed:
		case <-try.Done():
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.stood.gone = 0
	return nil
}

// behindLocked tells whether the watch has yet to tell how the key came to go. A walk that began since then never will.
func (r *Registration) behindLocked() bool {
	s := r.sight
	return s.heard && s.walk == r.stood.walk && (s.revision <= r.stood.gone || s.mod != 0 && r.isMine(s.lease))
}
