package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
)

// A keeper keeps one lease alive, from the first time that somebody needs one until its ctx ends. It grants when a caller waits and
// there is no lease; it asks an ended epoch's lease whether it is alive after all, until the server says that it is gone.
//
// What it does to etcd stands in the wire, so that its timing is tested with a fake clock.
type keeper struct {
	wire  wire
	allow allowance
	trace Trace

	mu      sync.Mutex    // protects what follows
	current *Lease        // the live or last epoch; nil before the first
	failed  error         // why there is no live epoch, as far as is known
	refusal int           // counts the failures that callers are told at once
	waiting int           // callers in wait
	needed  bool          // somebody had a lease, or waited in vain: there is to be one without being asked again
	suspect chan struct{} // holds a token when there is a sign that the lease is gone
	changed chan struct{}
	lease   clientv3.LeaseID // granted and not known to be gone
	over    error            // set by end: there will be no other epoch
}

// wire is what a keeper asks of etcd.
type wire struct {
	// grant returns a new lease with the session key under it.
	grant func(context.Context) (granted, error)
	// renew returns the TTL that was granted anew.
	renew func(context.Context, clientv3.LeaseID) (time.Duration, error)
	// drop gives a lease back that nobody will use.
	drop func(context.Context, clientv3.LeaseID)
	// gone and denied tell what an error of renew means.
	gone, denied func(error) bool
}

// granted is a new lease. sent is the time before it was asked for.
type granted struct {
	id   clientv3.LeaseID
	ttl  time.Duration
	sent instant
	self *identity
}

func newKeeper(w wire, allow allowance, trace Trace) *keeper {
	return &keeper{wire: w, allow: allow, trace: trace, changed: make(chan struct{}), suspect: make(chan struct{}, 1)}
}

// wait returns the live epoch, when there is one. It returns at once what will not get better by waiting.
func (k *keeper) wait(ctx context.Context) (*Lease, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.refusal
	for {
		if k.over != nil {
			return nil, k.over
		}
		if k.current != nil && k.current.Err() == nil {
			return k.current, nil
		}
		if k.refusal != told && k.failed != nil {
			return nil, k.failed
		}
		changed := k.changed
		k.waiting++
		if k.waiting == 1 {
			k.announceLocked() // run waits for somebody who waits
			changed = k.changed
		}
		k.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		k.mu.Lock()
		if k.refusal == told {
			k.waiting--
		}
		if ctx.Err() != nil {
			return nil, k.lateLocked(ctx)
		}
	}
}

// lateLocked is the error of a caller whose ctx ended first.
func (k *keeper) lateLocked(ctx context.Context) error {
	cause := context.Cause(ctx)
	if k.failed != nil {
		return fmt.Errorf("%w (last: %w)", cause, k.failed)
	}
	k.failed = errNoAnswer // the first attempt is still under way: that is no health either
	return cause
}

var errNoAnswer = errors.New("etcd has not answered yet")

// announceLocked wakes everybody who waits for a change.
func (k *keeper) announceLocked() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// run keeps leases until ctx ends; then the current epoch ends with ctx's cause.
func (k *keeper) run(ctx context.Context) {
	defer func() { k.end(context.Cause(ctx)) }()
	for pause := time.Duration(0); k.demand(ctx, pause); {
		g, ok := k.establish(ctx)
		if !ok {
			pause = refusedPause
			continue
		}
		pause = 0
		k.keep(ctx, g)
	}
}

// end ends the current epoch, and there will be no other. It returns the lease, if one is not known to be gone, and until when that is
// certainly ours: zero if that is not known.
func (k *keeper) end(cause error) (clientv3.LeaseID, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over == nil {
		k.over = cause
	}
	k.announceLocked()
	if k.current == nil {
		return k.lease, time.Time{}
	}
	if k.current.Err() != nil {
		return k.lease, time.Time{} // the deadline has passed, but the lease may be alive for all we know
	}
	k.current.cancel(k.over)
	return k.lease, k.current.Deadline()
}

// doubt makes the keeper renew now.
func (k *keeper) doubt() {
	select {
	case k.suspect <- struct{}{}:
	default:
	}
}

// health tells why there is no live epoch, if there was one or somebody waits for one.
func (k *keeper) health() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil {
		if err := k.current.Err(); err != nil {
			return err
		}
		return nil
	}
	return k.failed
}

// margin is how long the current epoch would last without another renewal.
func (k *keeper) margin() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil || k.current.Err() != nil {
		return 0
	}
	return k.current.left()
}

// refusedPause is how long the keeper lets a refusal be before it asks again for a lease that nobody waits for: an operator may give the
// right back.
const refusedPause = 10 * time.Second

// demand waits until somebody waits for a lease, or for the pause if one is needed anyway. It is false when the keeper was ended.
func (k *keeper) demand(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		k.mu.Lock()
		wanted, needed, changed, over := k.waiting > 0, k.needed, k.changed, k.over != nil
		k.mu.Unlock()
		if over {
			return false
		}
		if wanted {
			return true
		}
		due := timer.C
		if !needed {
			due = nil
		}
		select {
		case <-changed:
		case <-due:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// establish gets a lease, trying again until etcd answers. It is false if that was a refusal, or ctx ended.
func (k *keeper) establish(ctx context.Context) (granted, bool) {
	var pause retry.Backoff
	for {
		g, err := k.wire.grant(ctx)
		if err == nil {
			return g, true
		}
		refused := retry.Of(err) == retry.Never || errors.Is(err, rpctypes.ErrNoSpace)
		k.fail(err, refused)
		if refused || pause.Wait(ctx) != nil {
			return granted{}, false
		}
	}
}

// fail notes why there is no lease. A refusal is told to those who wait, since waiting is of no use to them.
func (k *keeper) fail(err error, refusal bool) {
	k.trace.Retried("lease", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = err
	k.needed = !refusal || k.current != nil
	if refusal {
		k.refusal++
		k.waiting = 0 // those who are told no longer count
		k.announceLocked()
	}
}

// keep lives with one lease, epoch after epoch, until the server says that it is gone.
func (k *keeper) keep(ctx context.Context, g granted) {
	for again := false; ; again = true {
		l := newLease(g.id, g.ttl, window{sent: g.sent, span: k.allow.span(g.ttl)}, g.self, k.allow)
		if !k.begin(l, again) {
			if !again { // else it was ended by who knows the lease and revokes it
				k.wire.drop(ctx, g.id)
			}
			return
		}
		k.live(ctx, l)
		if !k.revive(ctx, &g) {
			return
		}
	}
}

// begin makes l the current epoch, unless the keeper was ended.
func (k *keeper) begin(l *Lease, again bool) bool {
	k.mu.Lock()
	k.lease = l.id
	over := k.over != nil
	if !over {
		k.current, k.failed, k.needed = l, nil, true
		k.announceLocked()
	}
	k.mu.Unlock()
	if !over {
		k.trace.Granted(l.id, l.ttl, again)
	}
	return !over
}

// forget takes note that the lease is gone.
func (k *keeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lease = clientv3.NoLease
}

// live renews l until its epoch ends.
func (k *keeper) live(ctx context.Context, l *Lease) {
	var end sync.WaitGroup
	end.Go(l.watch)
	stop := context.AfterFunc(ctx, func() { l.cancel(context.Cause(ctx)) })
	k.renew(l)
	stop()
	end.Wait()
	err := context.Cause(l.ctx)
	k.trace.Lost(l.id, err)
	k.mu.Lock()
	k.failed = err
	k.mu.Unlock()
}

// renew sends renewals until the epoch ends. Each call is bounded, since the client tries again inside it without a pause.
func (k *keeper) renew(l *Lease) {
	var pause retry.Backoff
	timer := time.NewTimer(renewAfter(l.ttl, rand.Float64()))
	defer timer.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-k.suspect:
		case <-timer.C:
		}
		sent := now()
		ttl, err := k.ask(l.ctx, l.id, l.ttl)
		switch {
		case l.ctx.Err() != nil:
			return
		case err == nil:
			took := sent.elapsed(now())
			k.trace.Renewed(l.id, took, l.renewed(sent, ttl))
			pause.Reset()
			timer.Reset(max(0, renewAfter(ttl, rand.Float64())-took)) // due from when this one was sent, as is the deadline
		case k.wire.gone(err):
			l.cancel(&LostError{Reason: Revoked})
			return
		default:
			k.trace.Retried("renewal", err)
			l.failed(err, k.wire.denied(err))
			if pause.Wait(l.ctx) != nil {
				return
			}
			timer.Reset(0)
		}
	}
}

// ask sends one renewal, and gives it a third of the TTL.
func (k *keeper) ask(ctx context.Context, id clientv3.LeaseID, ttl time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, ttl/renewalShare)
	defer cancel()
	return k.wire.renew(ctx, id)
}

// revive asks after the lease of an ended epoch until the server answers. True: it is alive, and g is as good as newly granted; the
// question was sent after the end, so nothing of the old epoch can be in the answer.
func (k *keeper) revive(ctx context.Context, g *granted) bool {
	var pause retry.Backoff
	for !k.ended() {
		sent := now()
		ttl, err := k.ask(ctx, g.id, g.ttl)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			g.sent, g.ttl = sent, ttl
			return true
		case k.wire.gone(err):
			k.forget()
			return false
		case errors.Is(err, errOldTerm):
			// The history of the cluster was rewound, or this member slept through much. Each answer prolongs a lease that will never be
			// trusted again, so give it up.
			k.wire.drop(ctx, g.id)
			k.forget()
			return false
		}
		k.fail(err, false)
		if pause.Wait(ctx) != nil {
			return false
		}
	}
	return false
}

func (k *keeper) ended() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.over != nil
}
