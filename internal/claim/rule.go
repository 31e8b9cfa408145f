package claim

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A Rule says what a key in line has to wait for.
type Rule interface {
	// value is what our key says, unless the claim does.
	value() string
	// mark and tag are what the rule puts before and behind the name of a slot, so that names alone tell what others have to know, and
	// need no read of the values.
	mark() string
	tag() string
	// reads are the operations that tell what stands before a key: one that was created at the revision rev, or, if that is 0, one that
	// is put next in the same transaction.
	reads(l *Line, rev int64) []clientv3.Op
	// obstacle is what is to be waited for, by the answers to reads; nil if the key holds.
	obstacle(l *Line, answers []*pb.ResponseOp) *obstacle
	// glimpse reads what who does not wait has to know.
	glimpse(ctx context.Context, l *Line) (glimpse, error)
	// shares tells whether several callers of the session can hold by one key.
	shares() bool
}

// An obstacle is a key, or a range, that is to be watched, and what to wait for there.
type obstacle struct {
	key, end string                     // end is "" for one key
	passed   func(*clientv3.Event) bool // only a look can tell whether ours is the first then
	puts     bool                       // puts matter too
	also     []*obstacle                // others, of which any may be passed instead
	refused  error                      // not nil: there is nothing to wait for, our key will never hold
}

var (
	// unseen is what is known of an obstacle when there are more keys than were asked for.
	unseen = new(obstacle)
	// crowd is the same when they are so many that ours cannot hold yet, whoever they are.
	crowd = new(obstacle)
)

// A glimpse is either a key that keeps ours from holding at once, or compares that are true as long as none does, or why ours never
// will.
type glimpse struct {
	culprit *mvccpb.KeyValue
	room    []clientv3.Cmp
	refused error
}

// Exclusive is the rule of etcd's own locks and elections: the oldest key holds.
var Exclusive Rule = exclusiveRule{}

type exclusiveRule struct{}

// exclusive is the value of a key that lets nobody in beside it. It tells our keys from one that etcd's own package puts under our very
// lease and name.
const exclusive = "exclusive"

func (exclusiveRule) value() string { return exclusive }

func (exclusiveRule) mark() string { return "" }

func (exclusiveRule) tag() string { return "" }

func (exclusiveRule) shares() bool { return false }

// reads asks for the last key. Keys alone come from etcd's index and cost it no read.
func (exclusiveRule) reads(l *Line, rev int64) []clientv3.Op {
	opts := append(clientv3.WithLastCreate(), clientv3.WithRange(l.end), clientv3.WithKeysOnly())
	if rev > 0 {
		opts = append(opts, clientv3.WithMaxCreateRev(rev-1))
	}
	return []clientv3.Op{clientv3.OpGet(l.prefix, opts...)}
}

func (exclusiveRule) obstacle(_ *Line, answers []*pb.ResponseOp) *obstacle {
	kvs := answers[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return nil
	}
	return untilDeleted(string(kvs[0].Key), kvs[0].CreateRevision)
}

func (exclusiveRule) glimpse(ctx context.Context, l *Line) (glimpse, error) {
	resp, err := l.hub.Client.Get(ctx, l.prefix, append(clientv3.WithFirstCreate(), clientv3.WithRange(l.end), clientv3.WithKeysOnly())...)
	if err != nil {
		return glimpse{}, err
	}
	if len(resp.Kvs) > 0 {
		return glimpse{culprit: resp.Kvs[0]}, nil
	}
	return glimpse{room: []clientv3.Cmp{l.empty()}}, nil
}

// untilDeleted is the obstacle of one key that was created at rev. An older delete is one of the slot's earlier use, which a lagging member
// or a resumed watch delivers after all.
func untilDeleted(key string, rev int64) *obstacle {
	return &obstacle{key: key, passed: func(ev *clientv3.Event) bool {
		return ev.Type == clientv3.EventTypeDelete && ev.Kv.ModRevision > rev
	}}
}

// empty is true when no key stands in the line.
func (l *Line) empty() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(l.prefix).WithRange(l.end), "=", 0)
}
