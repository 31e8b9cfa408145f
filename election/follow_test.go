package election

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"etcdkit/internal/mirror"
	"etcdkit/session"
)

func newTestFollower() *follower { return &follower{observers: make(map[*observer]struct{})} }

func leaderOf(token session.Token) *Leader {
	return &Leader{Key: fmt.Sprint("p/", token), Token: token, Labels: map[string]string{"a": "b"}}
}

// drain takes all that an observer has to be told.
func drain(f *follower, o *observer) (all []*Leader) {
	for {
		l, err := f.take(o)
		if l == nil || err != nil {
			return all
		}
		all = append(all, l)
	}
}

func TestObserversAreToldOfNewsOnly(t *testing.T) {
	t.Parallel()
	f := newTestFollower()
	early := f.join()
	if got := drain(f, early); len(got) != 0 {
		t.Errorf("told of %v before anything is known", got)
	}
	since := time.Now()
	f.tell(new(Leader), 0, 0)
	f.tell(leaderOf(1), 1, 0)
	f.tell(leaderOf(1), 1, 0) // somebody else in the line came or went
	f.tell(leaderOf(1), 5, 0) // it proclaimed
	stale := leaderOf(1)
	stale.StaleSince = since
	f.tell(stale, 5, 0)
	stale = leaderOf(1)
	stale.StaleSince = since.Add(time.Second)
	f.tell(stale, 5, 0)
	f.tell(leaderOf(1), 5, 0)
	late := f.join()
	f.tell(leaderOf(7), 7, 0)
	f.tell(new(Leader), 0, 0)
	want := []struct {
		token session.Token
		stale bool
	}{{0, false}, {1, false}, {1, false}, {1, true}, {1, false}, {7, false}, {0, false}}
	got := drain(f, early)
	if len(got) != len(want) {
		t.Fatalf("told of %d, want %d", len(got), len(want))
	}
	for i, l := range got {
		if l.Token != want[i].token || l.StaleSince.IsZero() == want[i].stale || l.Vacant() != (l.Token == 0) || l.Skipped != 0 {
			t.Errorf("%d: %+v, want %+v", i, l, want[i])
		}
	}
	if got := drain(f, late); len(got) != 3 || got[0].Token != 1 {
		t.Errorf("who joined late was told of %v", got)
	}
	f.part(early)
	f.part(late)
	if len(f.observers) != 0 {
		t.Error("an observer is left")
	}
}

func TestASlowObserverIsToldHowMuchItMissed(t *testing.T) {
	t.Parallel()
	f := newTestFollower()
	o := f.join()
	const n = backlog + 10
	for i := range session.Token(n) {
		f.tell(leaderOf(i+1), int64(i+1), 0)
	}
	got := drain(f, o)
	if len(got) != backlog || got[0].Skipped != 10 || got[0].Token != 11 || got[1].Skipped != 0 || got[backlog-1].Token != n {
		t.Errorf("told of %d: first %+v, last %+v", len(got), got[0], got[len(got)-1])
	}
	f.tell(leaderOf(n+5), n+5, 3) // the mirror had folded some
	if got := drain(f, o); len(got) != 1 || got[0].Skipped != 3 {
		t.Errorf("told of %+v", got)
	}
}

func TestObserversDoNotShareWhatTheyAreTold(t *testing.T) {
	t.Parallel()
	f := newTestFollower()
	a, b := f.join(), f.join()
	f.tell(leaderOf(1), 1, 0)
	one := drain(f, a)[0]
	one.Labels["a"], one.Value = "changed", "changed"
	if two := drain(f, b)[0]; two.Labels["a"] != "b" || two.Value != "" {
		t.Errorf("%+v", two)
	}
}

func TestTheEndComesLast(t *testing.T) {
	t.Parallel()
	f := newTestFollower()
	o := f.join()
	f.tell(leaderOf(1), 1, 0)
	over := errors.New("over")
	f.finish(over)
	if l, err := f.next(t.Context(), o); err != nil || l.Token != 1 {
		t.Errorf("first %v, %v", l, err)
	}
	if l, err := f.next(t.Context(), o); l != nil || !errors.Is(err, over) {
		t.Errorf("then %v, %v", l, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("because"))
	if l, err := f.next(ctx, o); l != nil || err.Error() != "because" {
		t.Errorf("after ctx's end: %v, %v", l, err)
	}
}

func TestTheOldestKeyLeads(t *testing.T) {
	t.Parallel()
	line := map[string]*mirror.Item{}
	if oldest(line) != nil {
		t.Error("somebody leads an empty line")
	}
	for i, rev := range []int64{7, 3, 9} {
		key := fmt.Sprint("p/", i)
		line[key] = &mirror.Item{Key: key, CreateRevision: rev, ModRevision: 10 - rev}
	}
	if first := oldest(line); first.Key != "p/1" {
		t.Errorf("%s leads", first.Key)
	}
}
