package claim

import (
	"testing"
	"testing/synctest"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
)

func TestReadersWaitForTheYoungestWriter(t *testing.T) {
	t.Parallel()
	_, l := lineOf()
	kv := func(name, value string, rev int64) *mvccpb.KeyValue {
		return &mvccpb.KeyValue{Key: []byte(name), Value: []byte(value), CreateRevision: rev}
	}
	both := answers([]*mvccpb.KeyValue{kv("line/a", exclusive, 3), kv("line/b", shared, 9), kv("line/c", "", 5)}, "")
	o := Shared.obstacle(l, both)
	if o == nil || o.key != "line/c" || !o.puts {
		t.Fatalf("obstacle %+v", o)
	}
	event := func(kind int, value string, rev int64) *clientv3.Event {
		ev := &clientv3.Event{Kv: &mvccpb.KeyValue{Key: []byte("line/c"), Value: []byte(value), ModRevision: rev}}
		if kind == 1 {
			ev.Type = clientv3.EventTypeDelete
		}
		return ev
	}
	for i, test := range []struct {
		ev   *clientv3.Event
		want bool
	}{
		{event(1, "", 5), false}, // of an earlier use of the name
		{event(0, exclusive, 6), false},
		{event(0, shared, 6), true},
		{event(1, "", 6), true},
	} {
		if got := o.passed(test.ev); got != test.want {
			t.Errorf("event %d: %v", i, got)
		}
	}
	if o := Shared.obstacle(l, answers([]*mvccpb.KeyValue{kv("line/b", shared, 9)}, "")); o != nil {
		t.Errorf("beside a writer that lets readers in: %+v", o)
	}
}

func TestMarkReaders(t *testing.T) {
	t.Parallel()
	owners := []Owner{{Value: shared, Holder: true}, {Value: shared}, {Value: exclusive}, {Value: shared}}
	MarkReaders(owners)
	for i, want := range []bool{true, true, false, false} {
		if owners[i].Holder != want {
			t.Errorf("owner %d: holder %v", i, owners[i].Holder)
		}
	}
}

// held is a front of readers that holds, without an etcd.
func held(h *hub.Hub, l *Line) *stake {
	l.busy = true
	l.stake = &stake{line: l, epoch: epoch(1), rule: Shared, key: "line/~1", rev: 7, holders: 1, ctx: h.Context()}
	return l.stake
}

// Who cannot share what the front holds goes on behind it, at once: the key steps aside, and its name is not used again meanwhile.
func TestASharedKeyStepsAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, l := lineOf()
		s := held(h, l)
		writer, reader := Claim{}.filled(), Claim{Rule: Shared}.filled()
		if tn, err := l.enter(t.Context(), reader, nil, nil); err != nil || tn.join != s || s.holders != 2 {
			t.Fatalf("a reader: %+v, %v", tn, err)
		}
		if tn, err := l.enter(t.Context(), writer, nil, nil); err != nil || tn != (turn{}) || !s.steppedAside() || !l.busy {
			t.Fatalf("a writer: %+v, %v", tn, err)
		}
		if got := l.slot(epoch(1), reader, ""); got != "line/~1-1" {
			t.Errorf("the next reader's slot is %q", got)
		}
		behind := make(chan turn, 1)
		go func() {
			tn, err := l.enter(t.Context(), reader, nil, nil)
			if err != nil {
				t.Error(err)
			}
			behind <- tn
		}()
		synctest.Wait()
		if s.leave() || !s.leave() || l.queuedReaders() != 1 {
			t.Errorf("holders %d, queue %d", s.holders, l.queuedReaders())
		}
		l.pass(turn{})
		if tn := <-behind; tn != (turn{}) {
			t.Errorf("the reader behind: %+v", tn)
		}
	})
}

func (l *Line) queuedReaders() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiters)
}

// A reader who was refused, since somebody waits elsewhere, is no reader of this key; and when the front begins to read, the readers at the
// head of the queue read with it, and who comes next goes on.
func TestWhoReadsWithTheFront(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, l := lineOf()
		s := held(h, l)
		reader := Claim{Rule: Shared}.filled()
		if tn, err := l.enter(t.Context(), reader, &refusal{stake: s}, nil); err != nil || tn != (turn{}) || !s.steppedAside() {
			t.Fatalf("who was refused: %+v, %v", tn, err)
		}
		turns := make([]chan turn, 4)
		for i, c := range []Claim{reader, reader, Claim{}.filled(), reader} {
			turns[i] = make(chan turn, 1)
			go func() {
				tn, err := l.enter(t.Context(), c, nil, nil)
				if err != nil {
					t.Error(err)
				}
				turns[i] <- tn
			}()
			synctest.Wait()
		}
		s = held(h, l)
		l.mu.Lock()
		l.shareLocked(s)
		l.mu.Unlock()
		if a, b := <-turns[0], <-turns[1]; a.join != s || b.join != s || s.holders != 3 {
			t.Errorf("readers: %+v, %+v; %d holders", a, b, s.holders)
		}
		if tn := <-turns[2]; tn != (turn{}) || !s.steppedAside() {
			t.Errorf("the writer: %+v", tn)
		}
		synctest.Wait()
		if len(turns[3]) > 0 {
			t.Error("a reader overtook a writer")
		}
		l.pass(turn{})
		<-turns[3]
	})
}
