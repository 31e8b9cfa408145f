package session

import (
	"testing"
	"time"
)

var (
	start = instant{mono: 1000 * time.Hour, wall: time.Date(2026, 3, 29, 2, 0, 0, 0, time.UTC)}
	us    = time.Microsecond
)

// after is start, later by these amounts on the two clocks.
func after(mono, wall time.Duration) instant {
	return instant{mono: start.mono + mono, wall: start.wall.Add(wall)}
}

// both is start, later by the same on both clocks.
func both(d time.Duration) instant { return after(d, d) }

func TestSpan(t *testing.T) {
	t.Parallel()
	fixed := func(rate float64, margin time.Duration) allowance {
		return allowance{rate: rate, margin: margin, fixed: true}
	}
	standard := allowance{rate: defaultRate}
	tests := []struct {
		name  string
		allow allowance
		ttl   time.Duration
		want  time.Duration
	}{
		{"default, 10 s: 5 % and TTL/20", standard, 10 * time.Second, 9 * time.Second},
		{"default, 60 s", standard, time.Minute, 54 * time.Second},
		{"default, 2 s: the margin is a twentieth and the least one at once", standard, 2 * time.Second, 1800 * time.Millisecond},
		{"default, 1 s: the least margin", standard, time.Second, 850 * time.Millisecond},
		{"no allowance, no margin", fixed(0, 0), 10 * time.Second, 10 * time.Second},
		{"margin alone", fixed(0, 3*time.Second), 10 * time.Second, 7 * time.Second},
		{"rate alone, to the microsecond", fixed(0.000001, 0), time.Second, time.Second - us},
		{"nothing left", fixed(0.5, 5*time.Second), 10 * time.Second, 0},
		{"less than nothing", fixed(0.5, 6*time.Second), 10 * time.Second, -time.Second},
	}
	for _, test := range tests {
		if got := test.allow.span(test.ttl); got != test.want {
			t.Errorf("%s: span(%v) = %v, want %v", test.name, test.ttl, got, test.want)
		}
	}
}

func TestWindowLeft(t *testing.T) {
	t.Parallel()
	w := window{sent: start, span: 9 * time.Second}
	tests := []struct {
		name string
		at   instant
		left time.Duration
	}{
		{"when it is sent", start, 9 * time.Second},
		{"a microsecond before the end", both(9*time.Second - us), us},
		{"at the end", both(9 * time.Second), 0},
		{"a microsecond past the end", both(9*time.Second + us), -us},
		{"suspended: only the wall clock ran", after(0, 9*time.Second), 0},
		{"suspended, just in time", after(us, 9*time.Second-us), us},
		{"the wall clock was set back an hour", after(time.Second, time.Second-time.Hour), 8 * time.Second},
		{"set back, and the end comes all the same", after(9*time.Second, -time.Hour), 0},
		{"set forward an hour: lost early, which is safe", after(time.Second, time.Hour), 9*time.Second - time.Hour},
		{"the monotonic clock stood still and the wall clock was set back", after(0, -time.Hour), 9 * time.Second},
	}
	for _, test := range tests {
		if got := w.left(test.at); got != test.left {
			t.Errorf("%s: left %v, want %v", test.name, got, test.left)
		}
		if got := w.open(test.at); got != (test.left > 0) {
			t.Errorf("%s: open = %v with %v left", test.name, got, test.left)
		}
	}
}

func TestWindowExtend(t *testing.T) {
	t.Parallel()
	const span = 9 * time.Second
	w := window{sent: start, span: span}
	renewal := func(sent time.Duration) window { return window{sent: both(sent), span: span} }
	tests := []struct {
		name string
		by   window
		at   instant
		want window
	}{
		{"an answer in time", renewal(3 * time.Second), both(3*time.Second + us), renewal(3 * time.Second)},
		{"a slow answer counts from when it was sent", renewal(3 * time.Second), both(8 * time.Second), renewal(3 * time.Second)},
		{"in the last microsecond", renewal(3 * time.Second), both(span - us), renewal(3 * time.Second)},
		{"at the very end: too late", renewal(3 * time.Second), both(span), w},
		{"a microsecond late", renewal(3 * time.Second), both(span + us), w},
		{"late by the wall clock alone", renewal(3 * time.Second), after(4*time.Second, span), w},
		{"overtaken by a later one", window{sent: both(-time.Second), span: span}, both(time.Second), w},
		{"the server granted less", window{sent: both(3 * time.Second), span: 2 * time.Second}, both(4 * time.Second), w},
	}
	for _, test := range tests {
		if got := w.extend(test.by, test.at); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// TestRateAllowance puts a server beside us whose clock runs at another rate: within the allowance its lease outlives our window, and
// past it, it need not.
func TestRateAllowance(t *testing.T) {
	t.Parallel()
	const ttl = 10 * time.Second
	allow := allowance{rate: 0.05, fixed: true} // no margin: the allowance alone
	window := window{sent: start, span: allow.span(ttl)}
	tests := []struct {
		name string
		rate float64 // server seconds in one of ours
		safe bool
	}{
		{"same rate", 1, true},
		{"slower", 0.9, true},
		{"as fast as 5 % less of our time allows", 1 / 0.95, true},
		{"just past the allowance", 1/0.95 + 0.00001, false},
		{"much faster", 1.2, false},
	}
	for _, test := range tests {
		expires := time.Duration(float64(ttl) / test.rate) // in our time, if the server counts from the moment we sent
		if got := !window.open(both(expires)); got != test.safe {
			t.Errorf("%s: window over when the lease expires = %v, want %v (left %v)", test.name, got, test.safe, window.left(both(expires)))
		}
	}
}

func TestRenewAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ttl  time.Duration
		roll float64
		want time.Duration
	}{
		{9 * time.Second, 0, 3 * time.Second},
		{9 * time.Second, 0.5, 2850 * time.Millisecond},
		{9 * time.Second, 0.999999, 2700*time.Millisecond + 300*time.Nanosecond},
	}
	for _, test := range tests {
		if got := renewAfter(test.ttl, test.roll); got.Round(100*time.Nanosecond) != test.want {
			t.Errorf("renewAfter(%v, %v) = %v, want %v", test.ttl, test.roll, got, test.want)
		}
	}
}

func TestCeilSeconds(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]time.Duration{
		1:                      time.Second,
		time.Second:            time.Second,
		time.Second + 1:        2 * time.Second,
		2500 * 1000 * us:       3 * time.Second,
		500 * time.Millisecond: time.Second,
	} {
		if got := ceilSeconds(in); got != want {
			t.Errorf("ceilSeconds(%v) = %v, want %v", in, got, want)
		}
	}
}
