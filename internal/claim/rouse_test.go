package claim

import (
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Whatever the weights, and in whatever order keys leave, each that did not hold when it came is told once: by whoever made room for it.
func TestEachIsToldOnce(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 5))
	for range 300 {
		const size = 6
		var takes []int
		for range 20 {
			takes = append(takes, 1+rng.IntN(size))
		}
		line := keysOf(takes...)
		told := make(map[string]bool)
		for _, kv := range holding(line, size) {
			told[string(kv.Key)] = true // they were the first when they came
		}
		for len(line) > 0 {
			i := rng.IntN(len(line)) // who waits may leave, too
			n, _ := taken(line[i].Key)
			s := &stake{key: string(line[i].Key), rev: line[i].CreateRevision}
			line = slices.Delete(line, i, i+1)
			for _, kv := range (permitsRule{n, size, "size"}).roused(s, answers(shuffled(rng, line), "")) {
				if told[string(kv.Key)] {
					t.Fatalf("takes %v: %s is told twice", takes, kv.Key)
				}
				told[string(kv.Key)] = true
			}
			for _, kv := range holding(line, size) {
				if !told[string(kv.Key)] {
					t.Fatalf("takes %v: %s is not told", takes, kv.Key)
				}
			}
			if holds := len(holding(line, size)); holds < len(line) && told[string(line[holds].Key)] {
				t.Fatalf("takes %v: %s is told and does not hold", takes, line[holds].Key)
			}
		}
	}
}

func shuffled(rng *rand.Rand, kvs []*mvccpb.KeyValue) []*mvccpb.KeyValue {
	kvs = slices.Clone(kvs)
	rng.Shuffle(len(kvs), func(i, j int) { kvs[i], kvs[j] = kvs[j], kvs[i] })
	return kvs
}

// holding are those of the line that hold.
func holding(line []*mvccpb.KeyValue, size int) []*mvccpb.KeyValue {
	for i, kv := range line {
		n, _ := taken(kv.Key)
		if size -= n; size < 0 {
			return line[:i]
		}
	}
	return line
}

func TestForeignKeysAreNotTold(t *testing.T) {
	t.Parallel()
	line := keysOf(1, 0, 1)
	s := &stake{rev: line[0].CreateRevision}
	if in := (permitsRule{1, 3, "size"}).roused(s, answers(line[1:], "")); len(in) > 0 {
		t.Errorf("%v is told", in)
	}
}

// bellOf is a bell that hears everything behind a revision.
func bellOf(rev int64) *bell {
	return &bell{running: true, since: rev, rung: make(map[string]*mvccpb.KeyValue), calls: make(map[string]call)}
}

// written is the event of a key that was put at a revision and written again at another.
func written(key string, rev, mod int64, lease clientv3.LeaseID, value string) []*clientv3.Event {
	kv := &mvccpb.KeyValue{Key: []byte(key), CreateRevision: rev, ModRevision: mod, Lease: int64(lease), Value: []byte(value)}
	return []*clientv3.Event{{Type: clientv3.EventTypePut, Kv: kv}}
}

func TestBell(t *testing.T) {
	t.Parallel()
	const lease = 1
	en := &entry{key: "line/1~1", value: "permits 1", rev: 10, epoch: epoch(lease)}
	tests := []struct {
		name   string
		events []*clientv3.Event
		called bool
		holds  bool
	}{
		{"a touch", written(en.key, 10, 12, lease, en.value), true, true},
		{"the put itself", written(en.key, 10, 10, lease, en.value), false, false},
		{"another key", written("line/1.1~1", 10, 12, lease, en.value), false, false},
		{"what somebody else wrote over it", written(en.key, 10, 12, lease, "junk"), true, false},
		{"the same without the lease", written(en.key, 10, 12, 0, en.value), true, false},
	}
	for _, test := range tests {
		for _, early := range []bool{false, true} { // than who waits for it
			b := bellOf(9)
			if early {
				b.ring(test.events)
			}
			call := b.listen(en)
			if !early {
				b.ring(test.events)
			}
			called := false
			select {
			case <-call:
				called = true
			default:
			}
			if holds := b.answer(en); called != test.called || holds != test.holds {
				t.Errorf("%s, early %v: called %v, holds %v", test.name, early, called, holds)
			}
			if len(b.calls)+len(b.rung) > 1 { // of a key that nobody asked for yet
				t.Errorf("%s, early %v: %d calls and %d touches stay", test.name, early, len(b.calls), len(b.rung))
			}
		}
	}
}

func TestBellOfAnEarlierUseOfTheName(t *testing.T) {
	t.Parallel()
	b := bellOf(3)
	b.ring(written("line/1~1", 5, 6, 1, "permits 1"))
	en := &entry{key: "line/1~1", value: "permits 1", rev: 10, epoch: epoch(1)}
	select {
	case <-b.listen(en):
		t.Error("a touch of the earlier key counts")
	default:
	}
	if b.answer(en) {
		t.Error("the earlier key's touch is taken for one of this")
	}
}

func TestBellThatMayHaveMissedIt(t *testing.T) {
	t.Parallel()
	en := &entry{key: "line/1~1", value: "permits 1", rev: 10, epoch: epoch(1)}
	for _, since := range []int64{0, 11} {
		if bellOf(since).listen(en) != nil {
			t.Errorf("a bell that hears from %d on is relied on for a key of 10", since)
		}
	}
}
