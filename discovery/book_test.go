package discovery

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stand returns a book with n instances, "00" and up.
func stand(n int) *book {
	b := newBook(10 * time.Second)
	for i := range n {
		b.put(of(i, int64(i+1)))
	}
	return &b
}

func of(i int, mod int64) *entry {
	return &entry{Instance: Instance{ID: fmt.Sprintf("%02d", i), Addr: "a:1"}, ttl: 10 * time.Second, mod: mod}
}

func names(insts []Instance) string {
	var all []string
	for _, i := range insts {
		all = append(all, i.ID)
	}
	return strings.Join(all, " ")
}

// TestJudge is who is kept when instances vanish, so many seconds after the start each.
func TestJudge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		size int
		at   []int
		kept int
	}{
		{"one of two", 2, []int{0}, 0},
		{"both of two", 2, []int{0, 0}, 0},
		{"all of three", 3, []int{0, 0, 0}, 0},
		{"half of four", 4, []int{0, 0}, 0},
		{"most of four", 4, []int{0, 1, 2}, 3},
		{"all of four", 4, []int{0, 1, 2, 3}, 4},
		{"most of five", 5, []int{0, 0, 0}, 3},
		{"half of ten", 10, []int{0, 0, 0, 0, 0}, 0},
		{"one by one", 10, []int{0, 11, 22, 33, 44, 55}, 0},
		{"within a TTL", 10, []int{0, 2, 4, 6, 8, 10}, 6},
		{"the first ones long ago", 10, []int{0, 0, 20, 20, 20, 20}, 0},
		{"of the rest", 10, []int{0, 0, 20, 20, 20, 20, 20}, 5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, start := stand(test.size), time.Now()
			for i, at := range test.at {
				now := start.Add(time.Duration(at) * time.Second)
				b.vanish(fmt.Sprintf("%02d", i), now)
				b.judge(now)
			}
			s := b.snapshot()
			gone := len(test.at) - test.kept
			if len(s.Probation) != test.kept || len(s.Instances) != test.size-gone {
				t.Errorf("%d are on probation, want %d; %d are left, want %d", len(s.Probation), test.kept, len(s.Instances), test.size-gone)
			}
			if errors.Is(s.Err, ErrMassLoss) != (test.kept > 0) {
				t.Errorf("Err = %v", s.Err)
			}
		})
	}
}

// TestProbation ends after two TTLs, but not while nobody could be seen to come back.
func TestProbation(t *testing.T) {
	t.Parallel()
	b, start := stand(4), time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for i := range 3 {
		b.vanish(fmt.Sprintf("%02d", i), start)
	}
	if b.judge(start) != 3 {
		t.Fatal("void: there is no probation")
	}
	first := b.snapshot()
	b.put(of(0, 9))
	if s := b.snapshot(); names(s.Instances) != "00 01 02 03" || len(s.Probation) != 2 || len(first.Probation) != 3 {
		t.Errorf("one is back: %+v", s)
	}
	if out, next := b.expire(at(19)); out != nil || !next.Equal(at(20)) {
		t.Errorf("early: %v, %v", out, next)
	}
	b.turn(at(5), errors.New("outage"), at(5))
	if s := b.snapshot(); s.StaleSince.IsZero() || s.Err.Error() != "outage" {
		t.Errorf("stale: %+v", s)
	}
	if out, _ := b.expire(at(100)); out != nil {
		t.Errorf("%v are out while the view is stale", out)
	}
	b.turn(time.Time{}, nil, at(100))
	if out, next := b.expire(at(100)); out != nil || !next.Equal(at(110)) {
		t.Errorf("after the outage: %v, %v", out, next)
	}
	if out, next := b.expire(at(110)); len(out) != 2 || !next.IsZero() {
		t.Errorf("at the end: %v, %v", out, next)
	}
	if s := b.snapshot(); names(s.Instances) != "00 03" || len(s.Probation) != 0 || s.Err != nil {
		t.Errorf("afterwards: %+v", s)
	}
	b.vanish("01", at(110)) // it is gone already
	if b.judge(at(110)) != 0 {
		t.Error("who is gone vanished again")
	}
}

// TestWhoIsNotServingIsNoLoss: of those who drain or are ill nobody expects anything.
func TestWhoIsNotServingIsNoLoss(t *testing.T) {
	t.Parallel()
	b := stand(8)
	for i := range 4 {
		e := of(i, 20)
		e.state = []state{draining, unhealthy, leaving, draining}[i]
		b.put(e)
	}
	if s := b.snapshot(); names(s.Instances) != "04 05 06 07" || names(s.Draining) != "00 02 03" || names(s.Unhealthy) != "01" {
		t.Errorf("%+v", s)
	}
	for i := range 6 {
		b.vanish(fmt.Sprintf("%02d", i), time.Now())
	}
	if n := b.judge(time.Now()); n != 0 {
		t.Errorf("%d are kept", n)
	}
	if s := b.snapshot(); names(s.Instances) != "06 07" || len(s.Draining) > 0 {
		t.Errorf("%+v", s)
	}
}

// TestListsAreExact under any sequence of changes, and so is what is told of them.
func TestListsAreExact(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	b, told, mod := newBook(time.Second), map[string]int64{}, int64(0)
	want := map[string]*entry{}
	var last *Snapshot
	for range 2000 {
		for range random.IntN(4) {
			mod++
			e := of(random.IntN(30), mod)
			if random.IntN(3) == 0 {
				b.drop(e.ID)
				delete(want, e.ID)
				continue
			}
			e.state = []state{serving, serving, draining, unhealthy}[random.IntN(4)]
			b.put(e)
			want[e.ID] = e
		}
		s := b.snapshot()
		for st, got := range map[state][]Instance{serving: s.Instances, draining: s.Draining, unhealthy: s.Unhealthy} {
			var ids []string
			for _, id := range slices.Sorted(maps.Keys(want)) {
				if want[id].state == st {
					ids = append(ids, id)
				}
			}
			if names(got) != strings.Join(ids, " ") {
				t.Fatalf("%q: %q, want %q", st, names(got), ids)
			}
		}
		ch := newChange(last, s)
		for _, i := range slices.Concat(ch.Added, ch.Updated) {
			told[i.ID] = want[i.ID].mod
		}
		for _, i := range ch.Removed {
			delete(told, i.ID)
		}
		for _, i := range s.Instances {
			if told[i.ID] != want[i.ID].mod {
				t.Fatalf("%s was told at %d and is at %d", i.ID, told[i.ID], want[i.ID].mod)
			}
		}
		if len(told) != len(s.Instances) {
			t.Fatalf("%d were told and %d are there", len(told), len(s.Instances))
		}
		last = s
	}
}

func TestFixed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := Fixed(Instance{Addr: "b:1"}, Instance{ID: "a", Addr: "c:1"})
		if names(v.Instances()) != "a b:1" || v.Stale() != 0 || v.Service() == "" {
			t.Errorf("%+v", v.Snapshot())
		}
		inst, done, err := v.Pick(firstOf{})
		if inst.ID != "a" || done == nil || err != nil {
			t.Errorf("Pick = %v, %v", inst, err)
		}
		v.Report(inst, errors.New("refused"))
		steps, ended := 0, make(chan error)
		go func() {
			for _, err := range v.Changes(t.Context()) {
				if err != nil {
					ended <- err
					return
				}
				steps++
			}
		}()
		synctest.Wait()
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, ErrClosed) || steps != 1 {
			t.Errorf("%d changes, then %v", steps, err)
		}
		_, done, err = Fixed().Pick(firstOf{})
		if !errors.Is(err, ErrNoInstance) || done == nil {
			t.Errorf("of nobody: %v", err)
		}
	})
}

type firstOf struct{}

func (firstOf) Pick(s *Snapshot) (*Instance, func(error), error) {
	return &s.Instances[0], func(error) {}, nil
}
