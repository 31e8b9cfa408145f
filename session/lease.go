package session

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A Lease is one epoch of the session: the time in which its lease was certainly ours without a break. When that ends, everything
// held in it has ended too, for good; if the lease turns out to be alive after all, that is another epoch with the same ID.
type Lease struct {
	id    clientv3.LeaseID
	ttl   time.Duration
	self  *identity
	allow allowance

	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex // protects what follows
	win     window
	refused error // why the last renewal failed, if it did
	denied  bool  // it failed for want of permission
}

func newLease(id clientv3.LeaseID, ttl time.Duration, win window, self *identity, allow allowance) *Lease {
	l := &Lease{id: id, ttl: ttl, win: win, self: self, allow: allow}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// ID is the lease in etcd: attach keys of your own to it, and they go with the session.
func (l *Lease) ID() clientv3.LeaseID { return l.id }

// TTL is what the server granted, which may be more than what was asked for.
func (l *Lease) TTL() time.Duration { return l.ttl }

// Context ends before the lease can expire. Its cause is a *LostError or ErrClosed.
func (l *Lease) Context() context.Context { return l.ctx }

// Err is nil while the lease is certainly ours. It reads both clocks: it is right at once when the process was stopped or the
// machine suspended, even before a timer could end the context.
func (l *Lease) Err() error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if l.left() <= 0 {
		l.cancel(l.expired()) // for good: the wall clock may be set back in a moment
		return context.Cause(l.ctx)
	}
	return nil
}

// Deadline is the moment until which the lease is certainly ours, as far as is known now. Each renewal moves it.
func (l *Lease) Deadline() time.Time { return time.Now().Add(l.left()) }

func (l *Lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.win.left(now())
}

// renewed takes note of an acknowledged renewal and returns how much of the window was left when it came.
func (l *Lease) renewed(sent instant, ttl time.Duration) time.Duration {
	at := now()
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.win.left(at)
	l.win = l.win.extend(window{sent: sent, span: l.allow.span(ttl)}, at)
	l.refused, l.denied = nil, false
	return left
}

// failed takes note of a renewal that was not acknowledged, for the reason of a later loss.
func (l *Lease) failed(err error, denied bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused, l.denied = err, denied
}

// expired is the error of a lease whose window is over.
func (l *Lease) expired() *LostError {
	l.mu.Lock()
	defer l.mu.Unlock()
	reason := Expired
	if l.denied {
		reason = Permission
	}
	return &LostError{Reason: reason, Err: l.refused}
}

// wallTick is how often the clocks are read at least, since the timers stop while the machine is suspended.
const wallTick = time.Second

// watch ends the epoch the moment its window is over. It returns when the epoch has ended.
func (l *Lease) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-timer.C:
		}
		left := l.left()
		if left <= 0 {
			l.cancel(l.expired())
			return
		}
		timer.Reset(min(left, wallTick))
	}
}
