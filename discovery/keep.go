package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// stood is what is known of the key.
type stood struct {
	mod   int64            // its revision; zero if it is not there, as far as is known
	text  string           // its value
	lease clientv3.LeaseID // that it is under
	epoch hub.Epoch        // in which the key was last seen to be ours
	doubt *doubt           // nil if nothing can still make the key
	walk  int              // during which walk of the watch it was known to be there
	gone  int64            // its revision before it went, until the watch has told how that came
	// beside is etcd's own record.
	beside aside
}

// lose notes that the key is not ours any more.
func (s *stood) lose() {
	if s.mod != 0 {
		s.gone = s.mod
	}
	s.mod, s.text = 0, ""
}

// doubt is a write that has made the key, or may yet make it: its answer was lost. The fence that it compared can be written again.
type doubt struct {
	epoch  hub.Epoch
	fence  int64
	before sight // what was seen of the key before the write
	heard  bool  // the watch was waited for since the epoch
}

// keep keeps the key as it should be until ctx ends, under one lease after the other.
func (r *Registration) keep(ctx context.Context) {
	var pause retry.Backoff
	refused := retry.Backoff{Max: refusedPause}
	for ctx.Err() == nil {
		version := r.wanted()
		epoch, err := r.hub.Epoch(ctx)
		if err == nil {
			err = r.bring(ctx, epoch)
		}
		switch {
		case ctx.Err() != nil: // which ends the loop
		case errors.Is(err, session.ErrClosed), !r.had && isFinal(err): // then Register gives up
			r.note(version, err)
			return
		case err == nil, errors.Is(err, ErrTaken): // who has taken it is watched
			pause.Reset()
			refused.Reset()
			r.note(version, err)
			r.rest(ctx, epoch)
		default:
			r.note(version, err)
			wait := &pause
			if retry.Of(err) == retry.Never {
				wait = &refused
			}
			_ = wait.Wait(ctx) // the loop sees its end
		}
	}
	r.note(r.wanted(), context.Cause(ctx)) // a session that has no lease says no bye
}

// refusedPause is how long a refusal is let be at most: an operator may give the right back.
const refusedPause = 10 * time.Second

func (r *Registration) wanted() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version
}

// rest waits until there is something to do.
func (r *Registration) rest(ctx context.Context, epoch hub.Epoch) {
	select {
	case <-r.wake:
	case <-epoch.Context().Done():
		if ctx.Err() == nil {
			r.note(0, context.Cause(epoch.Context()))
		}
	case <-ctx.Done():
	}
}

// note takes note of why a version does not stand in etcd, nil if one does.
func (r *Registration) note(version int64, err error) {
	r.mu.Lock()
	before, was := r.why, r.acked > 0
	if r.ended {
		r.mu.Unlock()
		return
	}
	r.why, r.tried = err, max(r.tried, version)
	r.tellLocked()
	r.mu.Unlock()
	log := r.hub.Log.With("service", r.service, "id", r.id)
	switch {
	case !was:
	case err != nil && before == nil && !errors.Is(err, session.ErrClosed):
		log.Warn("the instance is not registered, and will be again", "error", err)
	case err == nil && before != nil:
		log.Info("the instance is registered again")
	}
}

func (r *Registration) tellLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// isFinal tells whether waiting does not mend an error soon.
func isFinal(err error) bool {
	return err != nil && (errors.Is(err, ErrTaken) || errors.Is(err, session.ErrClosed) || errors.Is(err, rpctypes.ErrNoSpace) || retry.Of(err) == retry.Never)
}

// errBusy says that somebody else wrote the key each time before we could.
var errBusy = errors.New("somebody else writes the key all the time")

// bring makes the key what it should be, in as many steps as that takes.
func (r *Registration) bring(ctx context.Context, epoch hub.Epoch) error {
	ctx, cancel := hub.Either(ctx, epoch.Context())
	defer cancel()
	for range 16 {
		done, err := r.step(ctx, epoch)
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			r.hub.Suspect()
		}
		if done || err != nil {
			return err
		}
	}
	return errBusy
}

// step sends one request, if one is needed. It is true when the key is as it should be.
func (r *Registration) step(ctx context.Context, epoch hub.Epoch) (done bool, err error) {
	r.heed()
	rec, version, distrust := r.plan(epoch)
	text, err := rec.encode()
	if err != nil {
		return false, err
	}
	known := r.stood
	switch {
	case distrust || known.epoch != nil && known.epoch != epoch && known.mod != 0:
		return false, r.verify(ctx, epoch)
	case known.mod == 0 && r.missed(epoch):
		return false, r.catchUp(ctx)
	case known.mod == 0:
		return false, r.create(ctx, epoch, rec, text)
	case known.lease == epoch.ID() && known.text == text:
		done, err = r.fits(epoch, rec)
	}
	if err != nil || done {
		if done {
			r.acknowledge(version, epoch)
		}
		return done, err
	}
	return false, r.replace(ctx, epoch, rec, text)
}

// plan returns what shall stand in etcd, and whether what is known of the key has to be looked at.
func (r *Registration) plan(epoch hub.Epoch) (rec *record, version int64, distrust bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec = &record{Format: 1, Instance: r.inst, TTL: int64(ttlOf(epoch, r.hub.TTL) / time.Second)}
	switch {
	case r.drain:
		rec.State = draining
	case r.ill != nil:
		rec.State = unhealthy
	}
	return rec, r.version, r.distrust || r.stood.mod != 0 && r.sight.contradicts(r.stood.mod, r.stood.mod) || r.aside.contradicts(r.stood.beside.at, r.stood.beside.mod)
}

func ttlOf(epoch hub.Epoch, other time.Duration) time.Duration {
	if l, ok := epoch.(*session.Lease); ok {
		return l.TTL()
	}
	return other
}

func (r *Registration) acknowledge(version int64, epoch hub.Epoch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked, r.epoch = max(r.acked, version), epoch
}

// verify reads the key. In a new epoch on the same lease it is what there is to do: the key is there, and nobody has seen it leave.
func (r *Registration) verify(ctx context.Context, epoch hub.Epoch) error {
	try, cancel := r.patience.Try(ctx)
	defer cancel()
	r.mu.Lock()
	r.distrust = false // what is seen from now on counts
	r.mu.Unlock()
	resp, err := r.hub.Client.Txn(try).Then(r.gets()...).Commit()
	if err != nil {
		r.suspect()
		return fmt.Errorf("key %q: %w", r.key, err)
	}
	r.patience.Reset()
	return r.adoptAll(resp, epoch)
}

// suspect has the key read before anything else is done.
func (r *Registration) suspect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.distrust = true
}

// adoptAll takes note of what gets have read.
func (r *Registration) adoptAll(resp *clientv3.TxnResponse, epoch hub.Epoch) error {
	if err := r.adopt(resp.Responses[0].GetResponseRange().GetKvs(), epoch); err != nil || r.beside == "" {
		return err
	}
	return r.adoptBeside(resp.Responses[1].GetResponseRange().GetKvs(), resp.Header.Revision)
}

// adopt takes note of what was read of the key.
func (r *Registration) adopt(kvs []*mvccpb.KeyValue, epoch hub.Epoch) error {
	if len(kvs) == 0 {
		if r.stood.mod != 0 && r.stood.epoch == epoch {
			r.hub.Log.Warn("somebody else has deleted the instance, or revoked its lease", "service", r.service, "id", r.id)
			r.hub.Suspect()
		}
		r.stood.lose()
		return nil
	}
	kv := kvs[0]
	lease := clientv3.LeaseID(kv.Lease)
	mine := r.isMine(lease)
	if !mine && (r.had || !r.opts.takeover) {
		taken := &TakenError{ID: r.id, Lease: lease}
		if rec, err := decodeRecord(r.id, kv.Value); err == nil {
			taken.Addr = rec.Addr
		}
		r.stood.lose()
		return taken
	}
	if mine && string(kv.Value) != r.stood.text {
		r.obey(kv.Value)
	}
	r.found(kv.ModRevision, string(kv.Value), lease, epoch)
	if !mine {
		r.hub.Log.Warn("the ID is taken over", "service", r.service, "id", r.id, "lease", fmt.Sprintf("%x", int64(lease)))
	}
	r.had = r.had || mine
	return nil
}

// found notes that the key is there.
func (r *Registration) found(mod int64, text string, lease clientv3.LeaseID, epoch hub.Epoch) {
	s := &r.stood
	s.mod, s.text, s.lease, s.epoch, s.walk, s.gone = mod, text, lease, epoch, r.seen().walk, 0
}

// isMine tells whether what is under a lease is ours. What somebody has written over ours by hand is under none.
func (r *Registration) isMine(lease clientv3.LeaseID) bool {
	return slices.Contains(r.leases, lease) || r.had && lease == clientv3.NoLease
}

// obey takes over what an operator has written into the record: that the instance is to leave (RequestDrain).
func (r *Registration) obey(value []byte) {
	if r.asksToDrain(value) {
		r.comply()
	}
}

func (r *Registration) asksToDrain(value []byte) bool {
	rec, err := decodeRecord(r.id, value)
	return err == nil && rec.State == draining
}

// comply drains because an operator asked for it.
func (r *Registration) comply() {
	r.mu.Lock()
	asked := !r.drain
	r.drain = true
	if asked {
		r.version++
		r.tellLocked()
	}
	r.mu.Unlock()
	if asked {
		r.hub.Log.Info("the instance was asked to drain", "service", r.service, "id", r.id)
	}
}
