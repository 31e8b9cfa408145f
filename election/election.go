package election

import (
	"cmp"
	"context"
	"sync/atomic"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// kind is the segment under which the keys of elections stand.
const kind = "election"

// Election is a name in etcd for which candidates stand, and of whom one leads. Each Campaign is a candidate of its own, also within one
// process. It is safe for concurrent use.
type Election struct {
	hub  *hub.Hub
	name string
	key  string // of the line, without the slash before a candidate
	opts options
	bad  error // what is wrong with the name or the options: the error of every call

	current atomic.Pointer[Term] // the newest term that was won by this value, nil if there is none
}

// New returns the election of that name. It touches nothing; a bad name or option is the error of the first call.
func New(s *session.Session, name string, opts ...Option) *Election {
	e := &Election{hub: s.Hub(), name: name}
	e.opts = defaults(e.hub.Self)
	for _, opt := range opts {
		opt(&e.opts)
	}
	if e.key, e.bad = e.opts.line(e.hub.Keys, name); e.bad != nil {
		e.key = ""
	}
	return e
}

// Key is where the election stands in etcd: `etcdctl elect` and concurrency.NewElection stand in the same line when they are given this
// key. It is empty if the name is bad.
func (e *Election) Key() string { return e.key }

// prefix is what the keys of all candidates begin with.
func (e *Election) prefix() string { return e.key + "/" }

// Campaign stands for the election and waits until it is won, for as long as ctx lives, also while etcd is unreachable or leases are lost;
// ctx bounds the wait and not the term. It returns an error at once if etcd refuses (no permission, no space) or the session is
// closed. Candidates win in the order in which they stood, unless a leader hands over to another one. Most programs want Run.
func (e *Election) Campaign(ctx context.Context) (*Term, error) { return e.campaign(ctx, nil) }

// campaign wins a term for Run, or for who called Campaign.
func (e *Election) campaign(ctx context.Context, run *run) (*Term, error) {
	if e.bad != nil {
		return nil, e.wrap(e.bad)
	}
	held, err := claim.Acquire(ctx, e.hub, claim.Claim{Prefix: e.prefix(), Value: e.opts.value, Tag: e.opts.tag(), Own: true})
	if err != nil {
		return nil, e.wrap(retry.BothEnds(ctx, err))
	}
	t := newTerm(e, held, run)
	e.current.Store(t)
	context.AfterFunc(t.Context(), func() { e.current.CompareAndSwap(t, nil) })
	return t, nil
}

// Term returns the term in which this process leads, won by this very value, and nil while it certainly leads in none: for handlers
// and probes. It reads the clocks and asks nobody.
func (e *Election) Term() *Term {
	t := e.current.Load()
	if t == nil || t.held.Err() != nil {
		return nil
	}
	return t
}

// IsLeader tells whether this process certainly leads: see Term. What is done because of it is protected only if it is done under the
// term's guard.
func (e *Election) IsLeader() bool { return e.Term() != nil }

// usable is what keeps every call from being made.
func (e *Election) usable() error { return cmp.Or(e.bad, e.hub.Check()) }
