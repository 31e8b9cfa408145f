package election

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Transfer makes a candidate that waits the leader: the one with this ID (Candidate.ID), or the only one with this value. Those ahead of it
// lose their places and stand again behind it, all in one transaction, so that nobody leads in between.
//
// It returns an error at once, and the term goes on, if there is no such candidate (ErrUnknownCandidate), if it leads already (ErrLeading),
// or if it cannot be reached because of who is ahead (ErrForeignAhead, ErrTooManyAhead). Else the term ends: its context
// first, then it waits for Run's function as Resign does, then it hands over. If that fails, since the candidate is gone for
// example, the term is resigned instead, and the error says so.
func (t *Term) Transfer(ctx context.Context, candidate string) error {
	m, err := t.find(ctx, candidate)
	if err == nil && !t.end(session.ErrReleased) {
		err = session.ErrReleased
	}
	if err != nil {
		return t.election.wrap(fmt.Errorf("transfer to %q: %w", candidate, retry.BothEnds(ctx, err)))
	}
	ctx, cancel := t.unbound(ctx)
	defer cancel()
	t.awaitFunction(ctx, t.held.Deadline())
	if err := t.handOver(ctx, m); err != nil {
		return t.election.wrap(fmt.Errorf("transfer to %q: %w", candidate, err))
	}
	return nil
}

// find reads the line and finds the way to the candidate.
func (t *Term) find(ctx context.Context, candidate string) (move, error) {
	if err := t.held.Err(); err != nil {
		return move{}, err
	}
	ctx, cancel := hub.Either(ctx, t.Context())
	defer cancel()
	line, err := claim.Standing(ctx, t.election.hub, t.election.prefix())
	if err != nil {
		return move{}, err
	}
	i, err := choose(line, t.election.prefix(), candidate)
	if err != nil {
		return move{}, err
	}
	return moveTo(line, t.election.prefix(), t.Token(), i)
}

// handOver makes the move of a term that has ended, and resigns if that fails.
func (t *Term) handOver(ctx context.Context, m move, also ...clientv3.Op) error {
	defer close(t.left)
	moving, cancel := t.election.hub.ReleaseContext(ctx, t.held.Deadline())
	defer cancel()
	err := t.commit(moving, m, also...)
	if err == nil {
		return nil
	}
	released := t.held.Release(ctx)
	switch {
	case errors.Is(err, session.ErrLost) || errors.Is(err, session.ErrClosed):
		return err
	case released != nil:
		return fmt.Errorf("%w; and resigning instead: %w", err, released)
	}
	return fmt.Errorf("%w; resigned instead", err)
}

// commit makes a move, and finds the way anew when the line has moved meanwhile.
func (t *Term) commit(ctx context.Context, m move, also ...clientv3.Op) error {
	prefix := t.election.prefix()
	var pause retry.Backoff
	for {
		err := t.held.Transfer(ctx, m.ahead, m.target, also...)
		if !errors.Is(err, claim.ErrMoved) {
			return err
		}
		if pause.Wait(ctx) != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), claim.ErrMoved)
		}
		line, err := claim.Standing(ctx, t.election.hub, prefix)
		if err != nil {
			return err
		}
		i, err := choose(line, prefix, idOf(m.target, prefix))
		if err != nil {
			return err
		}
		if m, err = moveTo(line, prefix, t.Token(), i); err != nil {
			return err
		}
	}
}
