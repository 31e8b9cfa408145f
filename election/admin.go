package election

import (
	"context"
	"fmt"

	"etcdkit/internal/claim"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Info is one election for which somebody stands, as List finds it.
type Info struct {
	Name    string
	Leader  Leader
	Waiters int // candidates that wait
}

// List returns the elections under the session's prefix for which somebody stands, in the order of their names. It reads in pages at one
// revision. Elections at a key of their own (WithKey) are not among them, since nothing tells those from other keys.
func List(ctx context.Context, s *session.Session) ([]Info, error) {
	h := s.Hub()
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("election: list: %w", err)
	}
	groups, err := claim.List(ctx, h, kind)
	if err != nil {
		return nil, fmt.Errorf("election: list: %w", err)
	}
	list := make([]Info, len(groups))
	for i, g := range groups {
		key, err := h.Keys.Line(kind, g.Name)
		if err != nil {
			return nil, fmt.Errorf("election: list: %w", err)
		}
		list[i] = Info{Name: g.Name, Leader: *newLeader(g.Head, key+"/"), Waiters: g.Keys - 1}
	}
	return list, nil
}

// RequestTransfer asks the leader to hand over to a candidate that waits, and waits until it has: see Term.Transfer. A candidate that cannot
// be meant is an error at once, as there, ErrNoLeader and ErrForeignLeader, too. ErrRefused says that the leader did not, and why. A leader
// first ends what it does; if ctx ends before that, the request is taken back, and the error is session.ErrUncertain: it may
// have been heard.
func RequestTransfer(ctx context.Context, s *session.Session, name, candidate string, opts ...Option) error {
	e := New(s, name, opts...)
	if candidate == "" {
		return e.wrap(fmt.Errorf("transfer: %w", ErrUnknownCandidate))
	}
	if err := e.ask(ctx, candidate); err != nil {
		return e.wrap(fmt.Errorf("transfer to %q: %w", candidate, retry.BothEnds(ctx, err)))
	}
	return nil
}

// RequestResign asks the leader to resign, and waits until it has: see Term.Resign. Its errors are those of RequestTransfer.
func RequestResign(ctx context.Context, s *session.Session, name string, opts ...Option) error {
	e := New(s, name, opts...)
	if err := e.ask(ctx, ""); err != nil {
		return e.wrap(fmt.Errorf("resign: %w", retry.BothEnds(ctx, err)))
	}
	return nil
}
