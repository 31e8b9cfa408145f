package election

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"etcdkit/internal/claim"
	"etcdkit/internal/mirror"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// yieldToBetter hands over to a candidate with a higher priority, as soon as one waits. It follows the line as long as the term lasts.
func (t *Term) yieldToBetter() {
	ctx := t.Context()
	var pause retry.Backoff
	for ctx.Err() == nil {
		err := t.followLine(ctx)
		if err == nil || pause.Wait(ctx) != nil {
			return
		}
		t.election.hub.Log.Warn("the line cannot be followed", "election", t.election.name, "error", err)
	}
}

// followLine returns nil when the term was handed over.
func (t *Term) followLine(ctx context.Context) error {
	m, release := t.election.hub.Mirror(t.election.prefix())
	defer release()
	for _, err := range m.Updates(ctx) {
		if err != nil {
			return err
		}
		snapshot, err := m.Snapshot(ctx)
		if err != nil {
			return err
		}
		if t.isBest(snapshot) {
			continue
		}
		done, err := t.yield(ctx)
		if done {
			return nil
		}
		if err != nil {
			t.election.hub.Log.Info("a better candidate waits, and cannot be made the leader", "election", t.election.name, "error", err)
		}
	}
	return nil
}

// isBest tells whether nobody in line has a higher priority than the leader.
func (t *Term) isBest(line *mirror.Snapshot) bool {
	for item := range line.All() {
		if priorityOf(strings.TrimPrefix(item.Key, t.election.prefix())) > t.election.opts.priority {
			return false
		}
	}
	return true
}

// yield is true if it ended the term for a better candidate.
func (t *Term) yield(ctx context.Context) (bool, error) {
	prefix := t.election.prefix()
	line, err := claim.Standing(ctx, t.election.hub, prefix)
	if err != nil {
		return false, err
	}
	best := successor(line, prefix)
	if best == 0 || priorityOf(idOf(line[best], prefix)) <= t.election.opts.priority {
		return false, errors.New("it is gone, or behind one that is not of this kit")
	}
	m, err := moveTo(line, prefix, t.Token(), best)
	if err != nil {
		return false, err
	}
	return true, t.yieldTo(m, fmt.Errorf("%w: candidate %s has a higher priority", session.ErrReleased, idOf(m.target, prefix)))
}
