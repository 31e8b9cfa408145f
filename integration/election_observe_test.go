package integration

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// observer is a walk over the leaders.
type observer struct {
	t    *testing.T
	pull func() (*election.Leader, error, bool)
	last election.Leader
}

func observe(t *testing.T, ctx context.Context, e *election.Election) *observer {
	t.Helper()
	pull, stop := iter.Pull2(e.Leaders(ctx))
	t.Cleanup(stop)
	return &observer{t: t, pull: pull}
}

// next is the next pair, whatever it tells.
func (o *observer) next() election.Leader {
	o.t.Helper()
	l, err, ok := o.pull()
	if err != nil || !ok {
		o.t.Fatalf("Leaders ended with %v, %v", err, ok)
	}
	o.last = *l
	return *l
}

// until takes pairs until one tells this value, and returns the values in between, each once. A slow machine may fall out of step at any
// time, and say so.
func (o *observer) until(value string) (told []string) {
	o.t.Helper()
	for {
		was := o.last
		l := o.next()
		if l.Token != was.Token || l.Value != was.Value || len(told) == 0 {
			told = append(told, l.Value)
		}
		if l.Value == value && l.StaleSince.IsZero() {
			return told
		}
	}
}

func (o *observer) ends() error {
	o.t.Helper()
	for {
		switch l, err, ok := o.pull(); {
		case err != nil && l != nil:
			o.t.Errorf("the last pair has %+v", l)
			return err
		case err != nil:
			if _, _, ok := o.pull(); ok {
				o.t.Error("there is a pair after the last one")
			}
			return err
		case !ok:
			o.t.Fatal("Leaders ended without an error")
		}
	}
}

// Foreign keys in a line are leaders like any others, and can be put by who has no connection that is cut.
func strangerLeads(t *testing.T, admin *clientv3.Client, e *election.Election, name string) {
	t.Helper()
	mustPut(t, admin, e.Key()+"/"+name, name)
}

func strangerLeaves(t *testing.T, admin *clientv3.Client, e *election.Election, name string) {
	t.Helper()
	mustDelete(t, admin, e.Key()+"/"+name)
}

// An observer that is cut off says since when, and then tells of all that happened meanwhile.
func TestObserverThatIsCutOff(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	admin := c.Admin()
	e := election.New(open(t, c.Client(t), "p"), "x")
	o := observe(t, soon(t), e)
	o.until("")
	strangerLeads(t, admin, e, "a")
	o.until("a")
	c.Cut()
	for o.last.StaleSince.IsZero() {
		o.next()
	}
	if o.last.Value != "a" || o.last.Key != e.Key()+"/a" {
		t.Errorf("while cut off: %+v", o.last)
	}
	strangerLeads(t, admin, e, "b") // no leader yet
	strangerLeaves(t, admin, e, "a")
	strangerLeaves(t, admin, e, "b")
	strangerLeads(t, admin, e, "c")
	c.Heal()
	if told := o.until("c"); !slices.Equal(slices.Compact(told), []string{"a", "b", "", "c"}) && !slices.Equal(told, []string{"b", "", "c"}) {
		t.Errorf("told of %q", told)
	}
}

// What happened while it was cut off is compacted away: it goes on from what is.
func TestObserverWhoseHistoryIsGone(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	admin := c.Admin()
	e := election.New(open(t, c.Client(t), "p"), "x")
	strangerLeads(t, admin, e, "a")
	o := observe(t, soon(t), e)
	o.until("a")
	for _, name := range []string{"c", ""} {
		c.Cut()
		for o.last.StaleSince.IsZero() {
			o.next()
		}
		if name == "" {
			strangerLeaves(t, admin, e, "c")
		} else {
			strangerLeaves(t, admin, e, "a")
			strangerLeads(t, admin, e, name)
		}
		mustPut(t, admin, "noise", "")
		c.Compact(t)
		c.Heal()
		o.until(name)
	}
}

// One that is more than a thousand changes behind is told how many it missed.
func TestObserverThatIsSlow(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	e := election.New(open(t, c.Client(t), "p"), "x")
	slow, quick := observe(t, soon(t), e), observe(t, soon(t), e)
	slow.until("")
	quick.until("")
	const n = 1200
	for i := range n {
		mustPut(t, c.Admin(), e.Key()+"/a", strconv.Itoa(i))
	}
	told, skipped := 0, 0
	for quick.last.Value != strconv.Itoa(n-1) {
		quick.next()
	}
	for slow.last.Value != strconv.Itoa(n-1) {
		l := slow.next()
		told, skipped = told+1, skipped+l.Skipped
	}
	if told > 1024 || skipped == 0 || told+skipped < n {
		t.Errorf("told of %d, and that it missed %d", told, skipped)
	}
}

// The stream never just ends.
func TestEndsOfAnObserver(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	e := election.New(s, "x")
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(soon(t))
	a, b := observe(t, ctx, e), observe(t, soon(t), e)
	a.until("")
	b.until("")
	cancel(because)
	if err := a.ends(); !errors.Is(err, because) || !errors.Is(err, context.Canceled) {
		t.Errorf("at ctx's end: %v", err)
	}
	for l, err := range e.Leaders(soon(t)) { // a break frees everything, and ranging again starts anew
		if err != nil || !l.Vacant() {
			t.Errorf("the second walk begins with %+v, %v", l, err)
		}
		break
	}
	must(t, s.Close(soon(t)))
	if err := b.ends(); !errors.Is(err, session.ErrClosed) {
		t.Errorf("at the session's end: %v", err)
	}
	for l, err := range e.Leaders(soon(t)) {
		if l != nil || !errors.Is(err, session.ErrClosed) {
			t.Errorf("after the session's end: %+v, %v", l, err)
		}
	}
}

// Without etcd the first pair is the error, at ctx's end, and says what was in the way.
func TestObserverWithoutEtcd(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	e := election.New(open(t, c.Client(t), "p"), "x")
	c.Cut()
	err := observe(t, within(t, quick), e).ends()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Leaders ended with %v", err)
	}
	_, err = e.Leader(within(t, quick))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Leader = %v", err)
	}
}

// An observer who may not read is told so.
func TestObserverWithoutRights(t *testing.T) {
	t.Parallel()
	_, root, user := guarded(t)
	e := election.New(open(t, user, "theirs"), "x")
	if err := observe(t, soon(t), e).ends(); err == nil {
		t.Error("nil")
	} else {
		t.Log(err)
	}
	mine := election.New(open(t, user, "mine/p"), "x")
	o := observe(t, soon(t), mine)
	o.until("")
	mustPut(t, root, mine.Key()+"/a", "a")
	o.until("a")
}

// Who leads is told with what its session says of itself; a candidate that waits is never taken for the leader.
func TestObserversSeeLeadersOnly(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	e := election.New(open(t, client, prefix), "x")
	labels := session.WithLabels(map[string]string{"zone": "b"})
	term := mustCampaign(t, election.New(open(t, client, prefix, labels), "x", election.WithValue("a")))
	o := observe(t, soon(t), e)
	o.until("a")
	if o.last.Labels["zone"] != "b" || o.last.PID == 0 || o.last.Token != term.Token() {
		t.Errorf("%+v", o.last)
	}
	var waiting []<-chan *election.Term
	for i := range 3 {
		waiting = append(waiting, campaigning(t, election.New(open(t, client, prefix), "x", election.WithValue(fmt.Sprint(i)))))
	}
	must(t, term.Resign(soon(t)))
	for _, won := range waiting {
		must(t, nextTerm(t, won).Resign(soon(t)))
	}
	if told := o.until(""); !slices.Equal(told, []string{"0", "1", "2", ""}) {
		t.Errorf("told of %q", told)
	}
}
