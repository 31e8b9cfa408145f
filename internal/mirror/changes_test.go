package mirror

import (
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A walk over changes is told of each transaction by itself, where one over updates gets what is left of them.
func TestChangesOneByOne(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		each, net := newSubscription(""), newSubscription("")
		each.steps = &steps{most: 3}
		m.subscribe(each)
		m.subscribe(net)
		if got := text(m.take(each)); got != "10: +p/a5" {
			t.Fatalf("the first is %q", got)
		}
		m.take(net)
		for rev := int64(11); rev <= 13; rev++ {
			if err := m.receive(&clientv3.WatchResponse{Header: header(rev), Events: []*clientv3.Event{put("p/b", rev)}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"11: +p/b11", "12: ~p/b12<11", "13: ~p/b13<12"} {
			if got := text(m.take(each)); got != want {
				t.Errorf("change %q, want %q", got, want)
			}
		}
		if got := m.take(each); got != nil {
			t.Errorf("one too many: %q", text(got))
		}
		if got := text(m.take(net)); got != "13: +p/b13" {
			t.Errorf("update %q", got)
		}
	})
}

// Who is too far behind is told how many were folded into one.
func TestChangesAreBounded(t *testing.T) {
	t.Parallel()
	s := &steps{most: 2}
	s.begin(diff{}, 1, freshness{})
	for rev := int64(2); rev <= 5; rev++ {
		s.add(diff{"k": {new: &Item{Key: "k", ModRevision: rev}}}, rev, false)
	}
	if u := s.take(); u.Folded != 3 || u.Revision != 4 || len(u.Puts) != 1 {
		t.Errorf("the first is %+v", u)
	}
	if u := s.take(); u.Folded != 0 || u.Revision != 5 {
		t.Errorf("the second is %+v", u)
	}
	if u := s.take(); u != nil {
		t.Errorf("one too many: %+v", u)
	}
}

// Falling out of step and being in step again are changes, once each.
func TestChangesTellOfDoubt(t *testing.T) {
	t.Parallel()
	s, at := &steps{most: 9}, time.Now()
	s.begin(diff{}, 1, freshness{proof: at})
	s.take()
	for range 2 {
		s.turn(freshness{proof: at, stale: true, why: errSilent})
	}
	if u := s.take(); u == nil || !u.StaleSince.Equal(at) || u.Revision != 1 || !errors.Is(u.Err, errSilent) || s.take() != nil {
		t.Errorf("out of step: %+v", u)
	}
	s.turn(freshness{proof: at})
	if u := s.take(); u == nil || !u.StaleSince.IsZero() || u.Revision != 1 || u.Err != nil || s.take() != nil {
		t.Errorf("in step again: %+v", u)
	}
}

// What was written just before a delete is told with it, however much was folded: it says why the key is gone.
func TestWhatWasDeletedLast(t *testing.T) {
	t.Parallel()
	first, last := &Item{Key: "k", ModRevision: 1}, &Item{Key: "k", ModRevision: 2}
	written, deleted := diff{}, diff{}
	written.add("k", first, last)
	deleted.add("k", last, nil)
	s := &steps{most: 2}
	s.begin(diff{}, 1, freshness{})
	s.take()
	s.add(written, 2, false)
	s.add(deleted, 3, false)
	s.add(diff{"other": {new: &Item{Key: "other"}}}, 4, false)
	if u := s.take(); u == nil || len(u.Deletes) != 1 || u.Deletes[0] != first || u.Last[0] != last {
		t.Errorf("folded: %+v", u)
	}
	net := diff{}
	net.merge(written)
	net.merge(deleted)
	if u := net.update(3, false); len(u.Puts) != 0 || len(u.Deletes) != 1 || u.Deletes[0] != first || u.Last[0] != last {
		t.Errorf("merged: %+v", u)
	}
}
