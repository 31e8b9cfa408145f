package discovery

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// never is when nobody is due.
const never = math.MaxInt64

// An ejection is what pickers that share it know about who is out.
type ejection struct {
	options ejectionOptions
	kept    kept[admitted] // forgotten whenever somebody goes out or comes back

	mu   sync.Mutex // protects what follows, and all of a conduct but its failures; taken within that of kept, never around it
	byID map[string]*conduct
	out  map[*conduct]bool
}

// A conduct is what is known about an instance. All times are by the clock.
type conduct struct {
	id       string
	failures atomic.Int64  // in a row
	times    int           // it was ejected in a row
	until    time.Duration // it is out; zero while it is in
	probing  time.Duration // until then an answer to the probe is waited for; zero if there is none
	back     time.Duration // when it came back
}

// admitted is a snapshot as the inner picker is to see it.
type admitted struct {
	of      *Snapshot
	part    *Snapshot
	records map[string]*conduct
	out     []int        // instances that are not in part
	due     atomic.Int64 // when one of them is to be probed, by the clock
}

// admit leaves out who is ejected: half of the instances at most, and if that would be more, since others left, the first to come back are back now.
func (e *ejection) admit(s *Snapshot, older []keptValue[admitted]) *admitted {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := &admitted{of: s, part: s, records: make(map[string]*conduct, len(s.Instances))}
	for i := range s.Instances {
		id := s.Instances[i].ID
		rec := e.byID[id]
		if rec == nil {
			rec = &conduct{id: id}
			e.byID[id] = rec
		}
		a.records[id] = rec
		if rec.until != 0 {
			a.out = append(a.out, i)
		}
	}
	e.forgetLocked(a, older)
	if most := len(s.Instances) / 2; len(a.out) > most {
		until := func(i int) time.Duration { return a.records[s.Instances[i].ID].until }
		slices.SortFunc(a.out, func(i, j int) int { return cmp.Compare(until(j), until(i)) })
		for _, i := range a.out[most:] {
			e.returnLocked(a.records[s.Instances[i].ID])
		}
		a.out = a.out[:most]
	}
	if len(a.out) > 0 {
		in := make([]Instance, 0, len(s.Instances)-len(a.out))
		for i := range s.Instances {
			if a.records[s.Instances[i].ID].until == 0 {
				in = append(in, s.Instances[i])
			}
		}
		a.part = s.part(in)
	}
	e.dueLocked(a)
	return a
}

// forgetLocked drops records of instances that are gone, unless they are out: who comes back within its time has not served it.
func (e *ejection) forgetLocked(a *admitted, older []keptValue[admitted]) {
	now := time.Since(clock)
known:
	for id, rec := range e.byID {
		if a.records[id] == rec || rec.until > now {
			continue
		}
		for _, before := range older {
			if before.value.records[id] == rec {
				continue known
			}
		}
		delete(e.byID, id)
		delete(e.out, rec)
	}
}

// dueLocked finds when the next probe is due.
func (e *ejection) dueLocked(a *admitted) {
	due := int64(never)
	for _, i := range a.out {
		rec := a.records[a.of.Instances[i].ID]
		next := rec.until
		if rec.probing != 0 {
			next = rec.probing
		}
		due = min(due, int64(next))
	}
	a.due.Store(due)
}

// probe returns an instance whose time is over, and which nobody probes at the moment, or -1.
func (e *ejection) probe(a *admitted, now time.Duration) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.dueLocked(a)
	for _, i := range a.out {
		rec := a.records[a.of.Instances[i].ID]
		if rec.until != 0 && rec.until <= now && (rec.probing == 0 || rec.probing <= now) {
			rec.probing = now + e.options.time // if it never ends, another one goes
			return i
		}
	}
	return -1
}

// eject takes an instance out that failed too often, if that leaves enough of them.
func (e *ejection) eject(rec *conduct, among *admitted) {
	e.mu.Lock()
	ejected := e.ejectLocked(rec, among)
	e.mu.Unlock()
	if ejected {
		e.kept.forget()
	}
}

func (e *ejection) ejectLocked(rec *conduct, among *admitted) bool {
	if rec.until != 0 {
		return false
	}
	out := 1
	for other := range e.out {
		if among.records[other.id] == other {
			out++
		}
	}
	rec.failures.Store(0) // also where it stays: it is looked at again after as many
	if out > len(among.of.Instances)/2 {
		return false
	}
	now := time.Since(clock)
	if now-rec.back > e.span(rec.times) {
		rec.times = 0 // it was well for longer than it was out
	}
	rec.times++
	rec.until, rec.probing = now+e.span(rec.times), 0
	e.out[rec], e.byID[rec.id] = true, rec
	return true
}

// conclude ends a probe.
func (e *ejection) conclude(rec *conduct, err error) {
	e.mu.Lock()
	switch {
	case rec.until == 0: // another one was faster, or it had to come back
	case err == nil:
		e.returnLocked(rec)
	case canceled(err):
		rec.probing = 0
	default:
		rec.times++
		rec.until, rec.probing = time.Since(clock)+e.span(rec.times), 0
	}
	e.mu.Unlock()
	e.kept.forget()
}

func (e *ejection) returnLocked(rec *conduct) {
	rec.until, rec.probing, rec.back = 0, 0, time.Since(clock)
	rec.failures.Store(0)
	delete(e.out, rec)
}

// span is how long the n-th ejection in a row lasts.
func (e *ejection) span(n int) time.Duration {
	if time.Duration(n) > e.options.maxTime/e.options.time {
		return e.options.maxTime // the product could overflow
	}
	return time.Duration(n) * e.options.time
}

// A trial is a request whose outcome counts.
type trial struct {
	of     *ejection
	among  *admitted
	record *conduct
	inner  func(error)
	probe  bool
}

func (t trial) done(err error) {
	if t.inner != nil {
		t.inner(err)
	}
	switch {
	case t.record == nil: // an inner picker of somebody's own returned an instance of its own
	case t.probe:
		t.of.conclude(t.record, err)
	case err == nil:
		if t.record.failures.Load() != 0 { // which saves the write that all cores would wait for
			t.record.failures.Store(0)
		}
	case canceled(err):
	case t.record.failures.Add(1) >= int64(t.of.options.failures):
		t.of.eject(t.record, t.among)
	}
}
