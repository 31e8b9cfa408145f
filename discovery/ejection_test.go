package discovery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

var errBroken = errors.New("broken")

// use sends requests, of which those to broken instances fail, and counts them.
func use(t *testing.T, p Picker, s *Snapshot, n int, broken ...string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for range n {
		id, done := mustPick(t, p, s)
		counts[id]++
		err := error(nil)
		for _, b := range broken {
			if id == b {
				err = fmt.Errorf("call: %w", errBroken)
			}
		}
		done(err)
	}
	return counts
}

func TestEjection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := Ejection(RoundRobin()), alike(4)
		out := func(d time.Duration, broken ...string) {
			t.Helper()
			if got := use(t, p, s, 100, broken...)["i0001"]; got != 0 {
				t.Errorf("%d requests went to an instance that is out", got)
			}
			time.Sleep(d)
		}
		if got := use(t, p, s, 100, "i0001")["i0001"]; got != 5 {
			t.Errorf("it was ejected after %d failures, want 5", got)
		}
		for n := 1; n <= 12; n++ {
			span := min(time.Duration(n)*30*time.Second, 5*time.Minute)
			out(span - time.Second)
			out(time.Second)
			if got := use(t, p, s, 100, "i0001")["i0001"]; got != 1 { // the probe, which fails
				t.Errorf("time %d: %d requests went there as a probe", n, got)
			}
		}
		time.Sleep(5 * time.Minute)
		if got := use(t, p, s, 100)["i0001"]; got < 20 {
			t.Errorf("it got %d of 100 requests after a probe that went well", got)
		}
		time.Sleep(6 * time.Minute) // well for longer than it was out
		use(t, p, s, 100, "i0001")
		out(30 * time.Second)
		if got := use(t, p, s, 100)["i0001"]; got < 20 {
			t.Errorf("it got %d of 100 requests: its ejections did not begin anew", got)
		}
	})
}

func TestEjectionLeavesHalf(t *testing.T) {
	t.Parallel()
	all := []string{"i0000", "i0001", "i0002", "i0003", "i0004"}
	for n := 1; n <= 5; n++ {
		p, s := Ejection(RoundRobin()), alike(n)
		use(t, p, s, 1000, all...)
		if got := len(use(t, p, s, 1000, all...)); got != n-n/2 {
			t.Errorf("of %d that all fail, %d are in", n, got)
		}
	}
	// Those who are out stay half when others leave.
	p, s := Ejection(RoundRobin()), alike(8)
	use(t, p, s, 1000, all[:4]...)
	left := without(s, "i0004", "i0005", "i0006", "i0007")
	if got := len(use(t, p, left, 100)); got != 2 {
		t.Errorf("of 4 that are left and were all out, %d are in", got)
	}
}

func TestEjectionCountsFailuresInARow(t *testing.T) {
	t.Parallel()
	p, s := Ejection(RoundRobin()), alike(2)
	outcomes := []error{errBroken, errBroken, errBroken, errBroken, nil, context.Canceled, errBroken, errBroken, fmt.Errorf("x: %w", context.Canceled), errBroken, errBroken}
	for range 4 {
		for _, outcome := range outcomes {
			for {
				id, done := mustPick(t, p, s)
				if id == "i0000" {
					done(outcome)
					break
				}
				done(nil)
			}
		}
		for { // the last four failures are not followed by a fifth
			id, done := mustPick(t, p, s)
			done(nil)
			if id == "i0000" {
				break
			}
		}
	}
}

// TestEjectionProbesOnceAtATime, again where the probe was canceled, and after a while where it never ended.
func TestEjectionProbesOnceAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := Ejection(RoundRobin(), WithFailures(1), WithTime(time.Second)), alike(2)
		use(t, p, s, 10, "i0000")
		probe := func() (func(error), bool) {
			for range 10 {
				id, done := mustPick(t, p, s)
				if id == "i0000" {
					return done, true
				}
				done(nil)
			}
			return nil, false
		}
		time.Sleep(time.Second)
		done, ok := probe()
		if !ok {
			t.Fatal("there was no probe")
		}
		if _, ok := probe(); ok {
			t.Error("there was a second probe beside the first")
		}
		done(context.Canceled)
		if _, ok = probe(); !ok { // which never ends
			t.Error("there was no probe after one that was canceled")
		}
		if _, ok = probe(); ok {
			t.Error("there was another probe while one is under way")
		}
		time.Sleep(time.Second)
		if done, ok = probe(); !ok {
			t.Fatal("there was no probe after one that never ended")
		}
		done(nil)
		if counts := use(t, p, s, 10); counts["i0000"] != 5 {
			t.Errorf("it is not back: %v", counts)
		}
	})
}

func TestEjectionWithHugeOptions(t *testing.T) {
	t.Parallel()
	e := Ejection(RoundRobin(), WithFailures(math.MaxInt), WithTime(math.MaxInt64/2), WithMaxTime(math.MaxInt64))
	use(t, e, alike(2), 1000, "i0000", "i0001")
	for _, n := range []int{1, 2, 3, math.MaxInt} {
		if span := e.state.span(n); span <= 0 {
			t.Errorf("the %d-th ejection lasts %v", n, span)
		}
	}
}

// TestEjectionWithinZones: both parts know who is out, whichever was looked at last.
func TestEjectionWithinZones(t *testing.T) {
	t.Parallel()
	s := zoned(map[string]int{"a": 2, "b": 8})
	p := ZoneFirst("a", Ejection(RoundRobin()))
	broken := []string{"a0", "b0", "b1"}
	use(t, p, s, 3000, broken...)
	counts := use(t, p, s, 1000, broken...)
	for _, id := range broken {
		if counts[id] != 0 {
			t.Errorf("%s got %d requests", id, counts[id])
		}
	}
}
