package mirror

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// walk pulls updates one by one.
type walk struct {
	t    *testing.T
	next func() (*Update, error, bool)
}

func newWalk(t *testing.T, ctx context.Context, m *Mirror) *walk {
	return walkOver(t, m.Updates(ctx))
}

func walkOver(t *testing.T, updates iter.Seq2[*Update, error]) *walk {
	next, stop := iter.Pull2(updates)
	t.Cleanup(stop)
	return &walk{t, next}
}

func (w *walk) expect(want string) {
	w.t.Helper()
	u, err, ok := w.next()
	if !ok || err != nil {
		w.t.Fatalf("Updates ended with %v, %v, want %q", err, ok, want)
	}
	if got := text(u); got != want {
		w.t.Errorf("update %q, want %q", got, want)
	}
}

func events(s *script, evs ...*clientv3.Event) {
	s.send(clientv3.WatchResponse{Events: evs})
	synctest.Wait()
}

func TestUpdates(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		ctx, cancel := context.WithCancelCause(t.Context())
		w := newWalk(t, ctx, m)
		w.expect("10: +p/a5")
		events(s, put("p/b", 11))
		w.expect("11: +p/b11")
		events(s, put("p/a", 12), del("p/b", 12))
		w.expect("12: -p/b11 ~p/a12<5")

		events(s, put("p/c", 13)) // a slow consumer: all this is one difference
		events(s, put("p/d", 14))
		events(s, del("p/c", 15), put("p/d", 15))
		w.expect("15: +p/d15")

		because := errors.New("because")
		time.AfterFunc(time.Second, func() { cancel(because) })
		if u, err, ok := w.next(); u != nil || !errors.Is(err, because) || !ok {
			t.Errorf("after ctx's end: %v, %v, %v", u, err, ok)
		}
		if _, _, ok := w.next(); ok {
			t.Error("there is a pair after the last one")
		}
	})
}

func TestUpdatesOfNothing(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		events(s, del("p/a", 11))
		w := newWalk(t, t.Context(), m)
		w.expect("11:") // an empty prefix is a state too
		events(s, put("p/x", 12), put("p/y", 12))
		events(s, del("p/x", 13), del("p/y", 13)) // came and went: nothing to tell
		events(s, put("p/z", 14))
		w.expect("14: +p/z14")
	})
}

// TestUpdatesOfAKey: a walk over one key is woken by that key alone.
func TestUpdatesOfAKey(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		a, twin, b := walkOver(t, m.UpdatesOf(t.Context(), "p/a")), walkOver(t, m.UpdatesOf(t.Context(), "p/a")), walkOver(t, m.UpdatesOf(t.Context(), "p/b"))
		a.expect("10: +p/a5")
		twin.expect("10: +p/a5")
		b.expect("10:") // an absent key is a state too
		events(s, put("p/a", 11), put("p/c", 11))
		for _, sub := range m.subs["p/b"] {
			if len(sub.wake) > 0 {
				t.Error("a walk was woken by a key that it is not about")
			}
		}
		events(s, put("p/b", 12))
		a.expect("12: ~p/a11<5")
		twin.expect("12: ~p/a11<5")
		b.expect("12: +p/b12")
		s.turn(func() { s.list, s.check = listOf(20, put("p/b", 15)), checkOf(header(20)) })
		s.send(clientv3.WatchResponse{Canceled: true, CompactRevision: 18})
		time.Sleep(time.Second)
		a.expect("20: -p/a11 resynced")
		b.expect("20: ~p/b15<12 resynced")
		for _, err := range m.UpdatesOf(t.Context(), "p/c") {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if len(m.subs) != 2 {
			t.Errorf("subscriptions of %d keys after break, want those of two", len(m.subs))
		}
	})
}

func TestUpdatesAcrossLists(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		early, late := newWalk(t, t.Context(), m), newSubscription("")
		m.subscribe(late)
		early.expect("10: +p/a5")
		s.turn(func() { s.list, s.check = listOf(20, put("p/b", 15)), checkOf(header(20)) })
		s.send(clientv3.WatchResponse{Canceled: true, CompactRevision: 18})
		time.Sleep(time.Second)
		early.expect("20: -p/a5 +p/b15 resynced")
		if got := text(m.take(late)); got != "20: +p/b15" { // the first of a walk is the state, wherever that comes from
			t.Errorf("the first update is %q", got)
		}
		events(s, put("p/c", 21))
		early.expect("21: +p/c21")
	})
}

func TestBreakFrees(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		stay := newWalk(t, t.Context(), m)
		stay.expect("10: +p/a5")
		for _, err := range m.Updates(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if len(m.subs[""]) != 1 {
			t.Errorf("%d subscriptions after break, want the other one alone", len(m.subs[""]))
		}
		for u, err := range m.Updates(t.Context()) { // ranging again starts anew
			if err != nil || text(u) != "10: +p/a5" {
				t.Errorf("the second walk begins with %v, %v", u, err)
			}
			break
		}
	})
}
