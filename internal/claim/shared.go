package claim

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Shared is the rule of readers: a key holds when no exclusive key is older. Their names begin with a mark, which keeps them apart: a reader
// looks at all the others, however many read. Those are exclusive, unless their value is this rule's (Downgrade).
var Shared Rule = sharedRule{}

type sharedRule struct{}

// shared is the value of a key that lets others with the same value in beside it.
const shared = "shared"

// The names of readers are those that begin with readerMark; the next ones begin with afterMark.
const readerMark, afterMark = "~", "\x7f"

func (sharedRule) value() string { return shared }

func (sharedRule) mark() string { return readerMark }

func (sharedRule) tag() string { return "" }

func (sharedRule) shares() bool { return true }

// reads asks for what stands before the readers' names and behind them, with the values, which tell who excludes.
func (sharedRule) reads(l *Line, rev int64) []clientv3.Op {
	opts := []clientv3.OpOption{}
	if rev > 0 {
		opts = append(opts, clientv3.WithMaxCreateRev(rev-1))
	}
	return l.others(opts...)
}

// others reads all keys but the readers'.
func (l *Line) others(opts ...clientv3.OpOption) []clientv3.Op {
	n := len(opts)
	return []clientv3.Op{
		clientv3.OpGet(l.prefix, append(opts[:n:n], clientv3.WithRange(l.prefix+readerMark))...),
		clientv3.OpGet(l.prefix+afterMark, append(opts[:n:n], clientv3.WithRange(l.end))...),
	}
}

// obstacle is the youngest exclusive key. It is out of the way when it is deleted, and when its holder lets readers in.
func (sharedRule) obstacle(_ *Line, answers []*pb.ResponseOp) *obstacle {
	kv := excluding(answers)
	if kv == nil {
		return nil
	}
	rev := kv.CreateRevision
	return &obstacle{key: string(kv.Key), puts: true, passed: func(ev *clientv3.Event) bool {
		return ev.Kv.ModRevision > rev && (ev.Type == clientv3.EventTypeDelete || string(ev.Kv.Value) == shared)
	}}
}

// glimpse also tells of those who wait, if they are exclusive: they must not be overtaken.
func (sharedRule) glimpse(ctx context.Context, l *Line) (glimpse, error) {
	resp, err := l.hub.Client.Txn(ctx).Then(l.others()...).Commit()
	if err != nil {
		return glimpse{}, err
	}
	g := glimpse{culprit: excluding(resp.Responses)}
	for i, from := range []string{l.prefix, l.prefix + afterMark} {
		end := []string{l.prefix + readerMark, l.end}[i]
		if len(resp.Responses[i].GetResponseRange().Kvs) == 0 {
			g.room = append(g.room, clientv3.Compare(clientv3.CreateRevision(from).WithRange(end), "=", 0))
		} else { // false for an empty range
			g.room = append(g.room, clientv3.Compare(clientv3.Value(from).WithRange(end), "=", shared))
		}
	}
	return g, nil
}

// excluding returns the youngest exclusive key among the answers to others, or nil.
func excluding(answers []*pb.ResponseOp) (last *mvccpb.KeyValue) {
	for _, answer := range answers {
		for _, kv := range answer.GetResponseRange().GetKvs() {
			if string(kv.Value) != shared && (last == nil || kv.CreateRevision > last.CreateRevision) {
				last = kv
			}
		}
	}
	return last
}

// join makes the caller one more holder of the key by which others of this session hold, if the rule lets it and nobody waits who would
// then be overtaken: a read tells of those who queue elsewhere. Else it returns the key that cannot be shared because of whom, or
// nil if there is no such key.
func (l *Line) join(ctx context.Context, c Claim, asked time.Time) (*Held, *refusal, error) {
	s := l.joinable(c)
	if s == nil {
		return nil, nil, nil
	}
	var writer *mvccpb.KeyValue
	var gone bool
	err := l.hub.Do(ctx, "look for writers in "+l.prefix, func(ctx context.Context) error {
		ops := append(l.others(clientv3.WithMinCreateRev(s.rev+1)), clientv3.OpGet(s.key, clientv3.WithKeysOnly()))
		resp, err := l.hub.Client.Txn(ctx).Then(ops...).Commit()
		if err == nil {
			writer = excluding(resp.Responses[:2])
			gone = !s.isIn(resp.Responses[2].GetResponseRange().Kvs)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, nil, err
	case gone: // perhaps a moment ago, and a writer came and went in between
		s.gone()
		return nil, nil, nil
	case writer != nil:
		return nil, &refusal{s, writer}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stake != s || !s.sharesLocked() { // it is on its way out
		return nil, nil, nil
	}
	s.holders++
	return s.held(ctx, asked), nil, nil
}

// A refusal says whose key, in line behind a shared one of ours, keeps others from sharing it.
type refusal struct {
	stake *stake
	by    *mvccpb.KeyValue
}

// joinable returns the key that the caller could hold by, or nil.
func (l *Line) joinable(c Claim) *stake {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.stake; c.Rule.shares() && s != nil && s.sharesLocked() && s.ctx.Err() == nil {
		return s
	}
	return nil
}

// shareLocked lets the callers at the head of the queue in who can hold by the same key. If somebody else is behind them, his key is the
// next that stands in the line.
func (l *Line) shareLocked(s *stake) {
	if !s.sharesLocked() {
		return
	}
	for len(l.waiters) > 0 && l.waiters[0].claim.Rule.shares() {
		s.holders++
		l.nextLocked().turn <- turn{join: s}
	}
	if len(l.waiters) > 0 {
		l.stepAsideLocked()
		l.nextLocked().turn <- turn{}
	}
}

// besideLocked is the turn of a caller who comes while the front holds by a key that can be shared: a share in it, unless it was refused, or
// else a key of its own, further back in the line. ok is false if the front does not hold like that.
func (l *Line) besideLocked(c Claim, refused *refusal) (t turn, ok bool) {
	s := l.stake
	switch {
	case s == nil || !s.sharesLocked() || s.ctx.Err() != nil:
		return turn{}, false
	case c.Rule.shares() && (refused == nil || refused.stake != s):
		s.holders++
		return turn{join: s}, true
	}
	l.stepAsideLocked()
	return turn{}, true
}

// Reads tells whether the key lets readers in beside it.
func (o Owner) Reads() bool { return o.Value == shared }

// MarkReaders says that those hold, too, who read beside the first of a line. The owners are in their order.
func MarkReaders(owners []Owner) {
	for i := range owners {
		if !owners[i].Reads() {
			return // the first exclusive key, and whatever is behind it
		}
		owners[i].Holder = true
	}
}
