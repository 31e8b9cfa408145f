package session

import "time"

// An instant is one reading of both clocks. The monotonic one stops while the machine is suspended, the wall clock can be set by
// anybody: so elapsed time is the longer of the two.
type instant struct {
	mono time.Duration // since an arbitrary fixed moment
	wall time.Time
}

// origin anchors the monotonic readings of this process.
var origin = time.Now()

// now reads both clocks.
func now() instant {
	t := time.Now()
	return instant{mono: t.Sub(origin), wall: t.Round(0)}
}

// elapsed is the time from i to later, on the clock on which more of it has passed.
func (i instant) elapsed(later instant) time.Duration {
	return max(later.mono-i.mono, later.wall.Sub(i.wall))
}

// A window is the time in which a lease is certainly ours: it begins before the renewal was sent, since the server counts from
// some moment after that, and it is shorter than what the server granted.
type window struct {
	sent instant
	span time.Duration
}

// left is how much of the window remains; it is over when nothing does.
func (w window) left(at instant) time.Duration { return w.span - w.sent.elapsed(at) }

// open tells whether the lease is certainly ours.
func (w window) open(at instant) bool { return w.left(at) > 0 }

// extend returns the window after the answer to a renewal that arrived at the instant at. A window that is over stays over: what
// was held in it has ended, and a late answer must not revive it. One that would end earlier (answers can overtake each other) changes nothing.
func (w window) extend(by window, at instant) window {
	if !w.open(at) || by.left(at) <= w.left(at) {
		return w
	}
	return by
}

// allowance is how a granted TTL becomes the span of a window.
type allowance struct {
	rate   float64       // how much faster the server's clock may run than ours, as a share
	margin time.Duration // for timers that fire late
	fixed  bool          // margin was chosen; else it is max(100 ms, TTL/20)
}

const (
	defaultRate  = 0.05
	leastMargin  = 100 * time.Millisecond
	marginOfTTL  = 20 // the margin is TTL/20 where that is more
	renewalShare = 3  // a renewal is due after a third of the TTL, and may take as long
)

// span is the part of a granted TTL that can be trusted.
func (a allowance) span(ttl time.Duration) time.Duration {
	margin := a.margin
	if !a.fixed {
		margin = max(leastMargin, ttl/marginOfTTL)
	}
	return ttl - time.Duration(float64(ttl)*a.rate) - margin
}

// renewAfter is the time from the sending of an acknowledged renewal to the next: a third of the TTL, up to a tenth of it earlier, so that
// a fleet that started together does not renew together. roll is in [0, 1).
func renewAfter(ttl time.Duration, roll float64) time.Duration {
	due := ttl / renewalShare
	return due - time.Duration(float64(due)*roll/10)
}
