package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// line is where the keys of one lock or semaphore stand.
type line struct {
	hub  *hub.Hub
	kind string // what it is called in errors
	name string
	key  string // without the slash before a slot
	bad  error  // what is wrong with the name, or anything else that was given to New: the error of every call
}

func newLine(s *session.Session, kind, name string, opts []Option) line {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	l := line{hub: s.Hub(), kind: kind, name: name}
	if l.key, l.bad = o.line(l.hub.Keys, kind, name); l.bad != nil {
		l.key = ""
	}
	return l
}

// how is a way to claim: claim.Acquire or claim.Try.
type how func(context.Context, *hub.Hub, claim.Claim) (*claim.Held, error)

// take claims the line in this way.
func (l *line) take(ctx context.Context, how how, c claim.Claim) (*Hold, error) {
	if l.bad != nil {
		return nil, l.wrap(l.bad)
	}
	c.Prefix = l.key + "/"
	held, err := how(ctx, l.hub, c)
	var busy *claim.BusyError
	if errors.As(err, &busy) {
		return nil, &HeldError{Name: l.name, Owner: newOwner(busy.Owner), kind: l.kind}
	}
	if err != nil {
		return nil, l.wrap(retry.BothEnds(ctx, err))
	}
	return &Hold{held: held, line: l}, nil
}

// owners lists who stands in the line. mark says who of them hold.
func (l *line) owners(ctx context.Context, mark func(context.Context, []claim.Owner) error) ([]Owner, error) {
	if l.bad != nil {
		return nil, l.wrap(l.bad)
	}
	owners, err := claim.Owners(ctx, l.hub, l.key+"/")
	if err == nil {
		err = mark(ctx, owners)
	}
	if err != nil {
		return nil, l.wrap(retry.BothEnds(ctx, err))
	}
	list := make([]Owner, len(owners))
	for i, o := range owners {
		list[i] = newOwner(o)
	}
	return list, nil
}

// wrap puts the name before an error, and the key where the right to it is missing.
func (l *line) wrap(err error) error {
	if errors.Is(err, session.ErrBadName) {
		return err // it has the name in it, and may say how long that is
	}
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return fmt.Errorf("%s %q (keys below %q): %w", l.kind, l.name, l.key+"/", err)
	}
	return fmt.Errorf("%s %q: %w", l.kind, l.name, err)
}

// do takes, runs fn once, and unlocks, also if fn panics.
func do[H interface {
	Context() context.Context
	Unlock(ctx context.Context) error
}](ctx context.Context, take func(context.Context) (H, error), fn func(context.Context, H) error) (err error) {
	h, err := take(ctx)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(session.ErrReleased)
	stop := context.AfterFunc(h.Context(), func() { cancel(context.Cause(h.Context())) })
	defer func() {
		stop()
		cancel(cmp.Or(context.Cause(h.Context()), error(session.ErrReleased))) // what fn has started must not believe for longer
		err = retry.Join(err, h.Unlock(ctx))
	}()
	return fn(inner, h)
}
