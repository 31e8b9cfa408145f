package mirror

import (
	"context"
	"iter"
	"maps"
	"time"
)

// Changes is Updates for those who must not miss what was undone at once: each transaction is an update of its own, as long as the consumer is
// at most backlog of them behind; then the oldest are folded into one (Update.Folded). It also tells when the mirror falls out of
// step and is in step again, by an update without a difference (Update.StaleSince).
func (m *Mirror) Changes(ctx context.Context, backlog int) iter.Seq2[*Update, error] {
	return m.walk(ctx, "", func(s *subscription) { s.steps = &steps{most: max(backlog, 2)} })
}

// steps are what a walk over changes was not told yet, one by one. All of it is protected by the mirror's mutex.
type steps struct {
	most    int
	waiting []step
	// What the last step says of these.
	revision int64
	since    time.Time
	why      error
}

// step is one update to come.
type step struct {
	d        diff
	revision int64
	resynced bool
	since    time.Time // since when the mirror is out of step; zero while it is in step
	why      error     // what casts doubt on it
	folded   int
}

func (s *steps) begin(d diff, revision int64, f freshness) {
	if s == nil {
		return
	}
	s.revision, s.since, s.why = revision, f.since(), f.why
	s.waiting = []step{{d: d, revision: revision, since: s.since, why: s.why}}
}

func (s *steps) add(d diff, revision int64, resynced bool) {
	s.revision = revision
	s.push(step{d: maps.Clone(d), revision: revision, resynced: resynced, since: s.since, why: s.why}) // others get the same difference
}

// turn takes note of being in step or not. It is true if that is news.
func (s *steps) turn(f freshness) bool {
	since := f.since()
	if since.IsZero() == s.since.IsZero() {
		return false
	}
	s.since, s.why = since, f.why
	s.push(step{d: diff{}, revision: s.revision, since: since, why: s.why})
	return true
}

func (s *steps) push(next step) {
	s.waiting = append(s.waiting, next)
	if len(s.waiting) <= s.most {
		return
	}
	a, b := s.waiting[0], s.waiting[1]
	a.d.merge(b.d)
	s.waiting = s.waiting[1:]
	s.waiting[0] = step{
		d: a.d, revision: max(a.revision, b.revision), resynced: a.resynced || b.resynced, since: b.since, why: b.why, folded: a.folded + b.folded + 1,
	}
}

func (s *steps) take() *Update {
	if len(s.waiting) == 0 {
		return nil
	}
	next := s.waiting[0]
	s.waiting = s.waiting[1:]
	u := next.d.update(next.revision, next.resynced)
	u.StaleSince, u.Err, u.Folded = next.since, next.why, next.folded
	return u
}

// since is since when the mirror is out of step, zero if it is in step.
func (f freshness) since() time.Time {
	if !f.stale {
		return time.Time{}
	}
	return f.proof
}

// turnLocked tells those who want to know whether the mirror is in step, and returns whom to wake.
func (m *Mirror) turnLocked() (wake []*subscription) {
	for _, subs := range m.subs {
		for _, s := range subs {
			if s.turn(m.fresh) {
				wake = append(wake, s)
			}
		}
	}
	return wake
}
