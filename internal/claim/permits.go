package claim

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Permits is the rule of a semaphore: a key that takes n permits holds when those that are older take no more than leave as many of the
// size. The size is what sizeKey says, or initial as long as it says nothing. A key that does not say what it takes, takes all.
func Permits(n, initial int, sizeKey string) Rule { return permitsRule{n, initial, sizeKey} }

type permitsRule struct {
	n, initial int
	sizeKey    string // it stands outside of the line's range
}

// TooManyError says that a caller wants more permits than there are.
type TooManyError struct {
	Wanted, Size int
}

// Error tells both figures.
func (e *TooManyError) Error() string { return fmt.Sprintf("%d permits of %d", e.Wanted, e.Size) }

func (r permitsRule) value() string { return fmt.Sprintf("permits %d", r.n) }

func (permitsRule) mark() string { return "" }

// tag says what the key takes: the value does too, but for those who read it.
func (r permitsRule) tag() string { return weightMark + strconv.Itoa(r.n) }

const weightMark = "~"

func (permitsRule) shares() bool { return false }

// MaxPermits is how many permits there can be: so few that the sum of any two fits into 32 bits.
const MaxPermits = 1<<29 - 1

// all is what a key takes that does not say it: more than any size.
const all = MaxPermits + 1

// taken is what a key takes. ok is false if it does not say it.
func taken[T string | []byte](key T) (n int, ok bool) {
	name := string(key)
	i := strings.LastIndex(name, weightMark)
	if i < 0 {
		return all, false
	}
	n, err := strconv.Atoi(name[i+len(weightMark):])
	if err != nil || n <= 0 || n > MaxPermits {
		return all, false
	}
	return n, true
}

// ParseSize reads the size that has been agreed on. It is 0 if there is none, or none that can be read.
func ParseSize(kvs []*mvccpb.KeyValue) int {
	if len(kvs) == 0 {
		return 0
	}
	n, err := strconv.Atoi(string(kvs[0].Value))
	if err != nil || n <= 0 || n > MaxPermits {
		return 0
	}
	return n
}

// size returns the size, and the revision at which it was set.
func (r permitsRule) size(kvs []*mvccpb.KeyValue) (size int, mod int64) {
	if len(kvs) > 0 {
		mod = kvs[0].ModRevision
	}
	return cmp.Or(ParseSize(kvs), r.initial), mod
}

// reads asks who joins a line for no more keys than there are permits: each takes one at least.
func (r permitsRule) reads(l *Line, rev int64) []clientv3.Op {
	opts := []clientv3.OpOption{clientv3.WithRange(l.end), clientv3.WithKeysOnly()}
	if rev > 0 {
		opts = append(opts, clientv3.WithMaxCreateRev(rev-1))
	} else {
		opts = append(opts, clientv3.WithLimit(int64(r.initial)))
	}
	return []clientv3.Op{clientv3.OpGet(l.prefix, opts...), clientv3.OpGet(r.sizeKey)}
}

func (r permitsRule) obstacle(l *Line, answers []*pb.ResponseOp) *obstacle {
	ahead := answers[0].GetResponseRange().Kvs
	size, mod := r.size(answers[1].GetResponseRange().Kvs)
	switch {
	case r.n > size:
		return &obstacle{refused: &TooManyError{Wanted: r.n, Size: size}}
	case answers[0].GetResponseRange().More && answers[0].GetResponseRange().Count >= int64(size):
		return crowd
	case answers[0].GetResponseRange().More:
		return unseen
	case sum(ahead)+r.n <= size:
		return nil
	}
	resized := &obstacle{key: r.sizeKey, puts: true, passed: func(ev *clientv3.Event) bool { return ev.Kv.ModRevision > mod }}
	o := r.between(l, ahead, size-r.n)
	o.also = append(o.also, resized)
	return o
}

// most is how many keys are watched one by one.
const most = 16

// between returns what is to be watched until the keys ahead take no more than spare.
//
// As long as some of the keys ahead that take more than spare together are all there, there is no need to look, whatever happens to the others.
// So far back in the line, the nearest of those ahead are watched, which will be the last to go: nobody is woken by each release that
// is not for him, and nobody can miss the one that is. Closer to the head that would be nearly all of them anyway, and the whole
// line is watched.
func (r permitsRule) between(l *Line, ahead []*mvccpb.KeyValue, spare int) *obstacle {
	slices.SortFunc(ahead, func(a, b *mvccpb.KeyValue) int { return older(b, a) })
	if i := slices.IndexFunc(ahead, func(kv *mvccpb.KeyValue) bool { n, _ := taken(kv.Key); return n > spare }); i >= 0 {
		return untilDeleted(string(ahead[i].Key), ahead[i].CreateRevision)
	}
	near, left := 0, spare
	for left >= 0 {
		n, _ := taken(ahead[near].Key)
		near, left = near+1, left-n
	}
	if near > most || len(ahead) <= 2*near {
		return account(l, ahead, spare)
	}
	o := new(obstacle)
	for _, kv := range ahead[:near] {
		one := untilDeleted(string(kv.Key), kv.CreateRevision)
		if o.key == "" {
			o = one
			continue
		}
		o.also = append(o.also, one)
	}
	return o
}

// older orders keys as they stand in line.
func older(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) }

// account is the obstacle that is passed when enough of the keys ahead are gone.
func account(l *Line, ahead []*mvccpb.KeyValue, spare int) *obstacle {
	total, byKey := sum(ahead), make(map[string]*mvccpb.KeyValue, len(ahead))
	for _, kv := range ahead {
		byKey[string(kv.Key)] = kv
	}
	return &obstacle{key: l.prefix, end: l.end, passed: func(ev *clientv3.Event) bool {
		kv := byKey[string(ev.Kv.Key)]
		if kv == nil || ev.Type != clientv3.EventTypeDelete || ev.Kv.ModRevision <= kv.CreateRevision {
			return false // a younger key, or an earlier use of the name
		}
		delete(byKey, string(ev.Kv.Key))
		n, _ := taken(kv.Key)
		total -= n
		return total <= spare
	}}
}

// sum is what the keys take together.
func sum(kvs []*mvccpb.KeyValue) (total int) {
	for _, kv := range kvs {
		n, _ := taken(kv.Key)
		total = min(total+n, all) // two who take everything are too many for a small int
	}
	return total
}

// glimpse also counts those who wait, since they must not be overtaken.
func (r permitsRule) glimpse(ctx context.Context, l *Line) (glimpse, error) {
	resp, err := l.hub.Client.Txn(ctx).Then(r.reads(l, math.MaxInt64)...).Commit()
	if err != nil {
		return glimpse{}, err
	}
	kvs := resp.Responses[0].GetResponseRange().Kvs
	size, mod := r.size(resp.Responses[1].GetResponseRange().Kvs)
	switch {
	case r.n > size:
		return glimpse{refused: &TooManyError{Wanted: r.n, Size: size}}, nil
	case sum(kvs)+r.n > size:
		return glimpse{culprit: slices.MinFunc(kvs, older)}, nil
	}
	return glimpse{room: []clientv3.Cmp{
		clientv3.Compare(clientv3.CreateRevision(l.prefix).WithRange(l.end), "<", resp.Header.Revision+1), // nobody came
		clientv3.Compare(clientv3.ModRevision(r.sizeKey), "=", mod),
	}}, nil
}

// Permits is what the key takes; 0 if it does not say it, and so takes all.
func (o Owner) Permits() int {
	n, ok := taken(o.Key)
	if !ok {
		return 0
	}
	return n
}

// MarkPermits says who of the owners, in their order, holds where there are so many permits.
func MarkPermits(owners []Owner, size int) {
	for i := range owners {
		n, _ := taken(owners[i].Key)
		if size -= n; size < 0 {
			return
		}
		owners[i].Holder = true
	}
}
