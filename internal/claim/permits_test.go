package claim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// keysOf are keys in the line, the oldest first, that take so many permits each; 0 is a foreign key.
func keysOf(takes ...int) []*mvccpb.KeyValue {
	var kvs []*mvccpb.KeyValue
	for i, n := range takes {
		name := fmt.Sprintf("line/%d", i)
		if n > 0 {
			name += permitsRule{n: n}.tag()
		}
		kvs = append(kvs, &mvccpb.KeyValue{Key: []byte(name), CreateRevision: int64(10 + i)})
	}
	return kvs
}

// answers are those to the reads of a semaphore.
func answers(ahead []*mvccpb.KeyValue, size string) []*pb.ResponseOp {
	var kvs []*mvccpb.KeyValue
	if size != "" {
		kvs = append(kvs, &mvccpb.KeyValue{Key: []byte("size"), Value: []byte(size), ModRevision: 5})
	}
	answer := func(kvs []*mvccpb.KeyValue) *pb.ResponseOp {
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: &pb.RangeResponse{Kvs: kvs}}}
	}
	return []*pb.ResponseOp{answer(ahead), answer(kvs)}
}

func TestWhatAKeyTakes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{
		"line/abc~3": 3, "line/abc.2-1~12": 12, "~1": 1,
		"line/abc": 0, "line/abc~": 0, "line/abc~0": 0, "line/abc~-1": 0, "line/abc~1x": 0, "line/abc~4294967296": 0, "\xff": 0, "": 0,
	} {
		n, ok := taken(name)
		if want == 0 && (ok || n != all) || want > 0 && (!ok || n != want) {
			t.Errorf("%q takes %d, %v", name, n, ok)
		}
		if got := (Owner{Key: name}).Permits(); got != want {
			t.Errorf("%q: Permits = %d, want %d", name, got, want)
		}
	}
}

func TestWhoHoldsPermits(t *testing.T) {
	t.Parallel()
	_, l := lineOf()
	tests := []struct {
		name  string
		n     int
		size  string // agreed; "" for none, and then it is 3
		ahead []int
		holds bool
	}{
		{"an empty line", 3, "", nil, true},
		{"just enough", 1, "", []int{1, 1}, true},
		{"one too many", 2, "", []int{1, 1}, false},
		{"a larger size is agreed on", 2, "4", []int{1, 1}, true},
		{"a smaller one", 1, "1", []int{1}, false},
		{"a size that cannot be read", 1, "many", []int{1, 1}, true},
		{"a size of nothing", 1, "0", []int{1, 1}, true},
		{"a foreign key", 1, "1000000", []int{0}, false},
		{"foreign keys, whose sum overflows nothing", 1, "", slices.Repeat([]int{0}, 1000), false},
	}
	for _, test := range tests {
		r := permitsRule{test.n, 3, "size"}
		o := r.obstacle(l, answers(keysOf(test.ahead...), test.size))
		if (o == nil) != test.holds || o != nil && o.refused != nil {
			t.Errorf("%s: %+v", test.name, o)
		}
	}
	var many *TooManyError
	o := permitsRule{4, 3, "size"}.obstacle(l, answers(nil, ""))
	if o == nil || !errors.As(o.refused, &many) || *many != (TooManyError{4, 3}) {
		t.Errorf("more permits than there are: %+v", o)
	}
}

// Whatever leaves the line in whatever order: who waits is told of it no later than when there is room for him. That he is told sooner costs a
// look.
func TestNobodyMissesHisTurn(t *testing.T) {
	t.Parallel()
	_, l := lineOf()
	for range 3000 {
		size := 1 + rand.IntN(20)
		r := permitsRule{1 + rand.IntN(size), size, "size"}
		var takes []int
		for range rand.IntN(60) {
			n := 1 + rand.IntN(size)
			if rand.IntN(4) > 0 {
				n = 1
			}
			if rand.IntN(50) == 0 {
				n = 0
			}
			takes = append(takes, n)
		}
		ahead := keysOf(takes...)
		o := r.obstacle(l, answers(slices.Clone(ahead), ""))
		if o == nil {
			continue
		}
		told := false
		for _, i := range rand.Perm(len(ahead)) {
			gone := ahead[i]
			ahead[i] = nil
			told = told || o.sees(deleted(gone))
			left := slices.DeleteFunc(slices.Clone(ahead), func(kv *mvccpb.KeyValue) bool { return kv == nil })
			if sum(left)+r.n <= size {
				break
			}
		}
		if !told {
			t.Fatalf("%d of %d behind %v: not told by %d watches", r.n, size, takes, len(o.all()))
		}
	}
}

func deleted(kv *mvccpb.KeyValue) *clientv3.Event {
	return &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: kv.Key, ModRevision: 1000}}
}

// sees passes an event to those watches that would get it.
func (o *obstacle) sees(ev *clientv3.Event) bool {
	seen := false
	for _, one := range o.all() {
		key := string(ev.Kv.Key)
		if one.key == key || one.end != "" && one.key <= key && key < one.end {
			seen = one.passed(ev) || seen
		}
	}
	return seen
}

// Far back in a long line nobody is woken by each release; close to the head each counts, but not one of an earlier use of a name.
func TestWhatIsWatchedBeforeASemaphore(t *testing.T) {
	t.Parallel()
	_, l := lineOf()
	r := permitsRule{1, 4, "size"}
	ones := func(n int) []*mvccpb.KeyValue { return keysOf(slices.Repeat([]int{1}, n)...) }

	far := r.obstacle(l, answers(ones(50), "")).all()
	if len(far) != 5 || far[0].key != "line/49~1" || far[3].key != "line/46~1" || far[4].key != "size" {
		t.Errorf("far back %d keys are watched, the first is %q", len(far), far[0].key)
	}
	near := r.obstacle(l, answers(ones(6), ""))
	if watched := near.all(); len(watched) != 2 || watched[0].key != l.prefix || watched[0].end != l.end {
		t.Errorf("close to the head: %+v", near)
	}
	kvs := ones(6)
	early := deleted(kvs[0])
	early.Kv.ModRevision = kvs[0].CreateRevision
	younger := deleted(&mvccpb.KeyValue{Key: []byte("line/77~1")})
	for i, want := range []bool{false, false, false, false, true} {
		ev := []*clientv3.Event{early, younger, deleted(kvs[0]), deleted(kvs[0]), deleted(kvs[1])}[i]
		if got := near.sees(ev); i < 4 && got != want {
			t.Errorf("event %d: %v", i, got)
		}
	}
	if !near.sees(deleted(kvs[2])) {
		t.Error("the third release of three that are needed was not seen")
	}
	grown := &clientv3.Event{Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{Key: []byte("size"), ModRevision: 6}}
	if !near.sees(grown) {
		t.Error("a new size was not seen")
	}
	foreign := r.obstacle(l, answers(keysOf(1, 0, 1, 1, 1, 1, 1), "")).all()
	if len(foreign) != 2 || foreign[0].key != "line/1" {
		t.Errorf("behind a foreign key: %q", foreign[0].key)
	}
}

func TestMarkPermits(t *testing.T) {
	t.Parallel()
	var owners []Owner
	for _, kv := range keysOf(1, 2, 3, 1) {
		owners = append(owners, newOwner(kv, len(owners) == 0))
	}
	MarkPermits(owners, 4)
	for i, want := range []bool{true, true, false, false} { // the last one waits behind the third, though there is room
		if owners[i].Holder != want {
			t.Errorf("owner %d: holder %v", i, owners[i].Holder)
		}
	}
}
