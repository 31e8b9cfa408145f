package mirror

import (
	"testing"
	"time"
)

// TestFollowTellsOfDoubt: being out of step is told once, also to those who follow one key that does not change, and so is its end.
func TestFollowTellsOfDoubt(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		all, one, plain := walkOver(t, m.Follow(t.Context(), "")), walkOver(t, m.Follow(t.Context(), "p/b")), walkOver(t, m.UpdatesOf(t.Context(), "p/b"))
		all.expect("10: +p/a5")
		one.expect("10:")
		plain.expect("10:")
		turned := func(w *walk, revision int64, stale bool) {
			t.Helper()
			u, err, _ := w.next()
			if err != nil || u.StaleSince.IsZero() == stale || u.Revision != revision || len(u.Puts)+len(u.Deletes) != 0 {
				t.Errorf("%+v, %v; want stale: %v", u, err, stale)
			}
		}
		for range 2 {
			m.doubt(errSilent)
		}
		turned(all, 10, true)
		turned(one, 10, true)
		m.confirm(time.Now())
		turned(all, 10, false)
		m.doubt(errSilent) // which overtakes the slow one
		m.confirm(time.Now())
		events(s, put("p/b", 12))
		one.expect("12: +p/b12")
		plain.expect("12: +p/b12")
	})
}
