package election

import (
	"context"
	"fmt"
	"iter"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
)

// Leaders tells who leads, from now on: first who does, then each change: another leader, another value of the same one (Term.Proclaim), and
// that nobody leads (Leader.Vacant). All observers of one session and election share one watch.
//
// No leader is left out, however short its term, as long as the observer is no more than a thousand changes behind; Leader.Skipped tells
// how many were. While the session is cut off from etcd the last one is told once more, with StaleSince, and again without when it is
// proven: what changed meanwhile comes before that, except what was undone, if etcd has compacted it away.
//
// The stream never just ends: the last pair is nil and an error, ctx's cause, session.ErrClosed or why nobody can be observed any more.
// Ranging again starts anew. A break frees everything.
func (e *Election) Leaders(ctx context.Context) iter.Seq2[*Leader, error] {
	return func(yield func(*Leader, error) bool) {
		if err := e.usable(); err != nil {
			yield(nil, e.wrap(err))
			return
		}
		walking, cancel := hub.Either(ctx, e.hub.Context())
		defer cancel()
		m, release := e.hub.Mirror(e.prefix())
		defer release()
		if err := m.Ready(walking); err != nil {
			yield(nil, e.wrap(retry.BothEnds(ctx, err)))
			return
		}
		id := fmt.Sprintf("leaders of %s in %p", e.key, m) // a mirror that has ended is followed by another
		f := e.hub.Share(id, func() (any, func()) { return newFollower(e.hub, m, e.prefix()) }).(*follower)
		defer e.hub.Unshare(id)
		f.start() // not in open, which runs under the hub's lock
		o := f.join()
		defer f.part(o)
		for {
			l, err := f.next(walking, o)
			if err != nil {
				yield(nil, e.wrap(retry.BothEnds(ctx, err)))
				return
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}
