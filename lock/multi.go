package lock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"etcdkit/internal/hub"
	"etcdkit/session"
)

// maxNames bounds a Multi: all its guards have to fit into one transaction, beside what the transaction is for.
const maxNames = 64

// Multi is several locks that are taken together or not at all. Each is the Mutex of its name. They are taken in one order everywhere, so two
// that have names in common never wait for each other, whatever the order in which they were given. It keeps no state, and is safe for
// concurrent use.
type Multi struct {
	locks []*Mutex // in the order of their keys
	bad   error    // what is wrong with the names: the error of every call
}

// NewMulti returns the locks of these names, from 1 to 64 of them. It touches nothing; a bad name, none, too many or the same one twice are
// the error of the first call.
func NewMulti(s *session.Session, names []string) *Multi {
	m := new(Multi)
	for _, name := range names {
		mu := NewMutex(s, name)
		if mu.line.bad != nil && m.bad == nil {
			m.bad = mu.line.wrap(mu.line.bad)
		}
		m.locks = append(m.locks, mu)
	}
	slices.SortFunc(m.locks, func(a, b *Mutex) int { return strings.Compare(a.Key(), b.Key()) })
	if m.bad == nil {
		m.bad = m.fault()
	}
	return m
}

// fault is what is wrong with the names together.
func (m *Multi) fault() error {
	if n := len(m.locks); n == 0 || n > maxNames {
		return fmt.Errorf("lock: %d names for a Multi, which takes 1 to %d", n, maxNames)
	}
	for i, mu := range m.locks[1:] {
		if mu.Key() == m.locks[i].Key() {
			return fmt.Errorf("lock: a Multi with %q twice", mu.line.name)
		}
	}
	return nil
}

// Lock waits until all of the locks are held, for as long as ctx lives; see Mutex.Lock. While it waits for one it holds those before it in
// the order; if one of them is lost meanwhile, it lets go of all and starts again. When it returns an error it has let go of all, or does
// so in the background if etcd does not answer.
func (m *Multi) Lock(ctx context.Context) (*MultiHold, error) {
	for {
		h, err := m.take(ctx, (*Mutex).Lock)
		if !errors.Is(err, errStartAgain) {
			return h, err
		}
	}
}

// TryLock takes the locks if all of them are free, and else returns the *HeldError of one that is not; see Mutex.TryLock.
func (m *Multi) TryLock(ctx context.Context) (*MultiHold, error) {
	h, err := m.take(ctx, (*Mutex).TryLock)
	if errors.Is(err, errStartAgain) { // that one was lost is no reason to wait
		err = fmt.Errorf("lock: one of several was lost while the others were taken: %w", session.ErrLost)
	}
	return h, err
}

// errStartAgain says that one of the locks was lost before the last was taken. It never leaves the package.
var errStartAgain = errors.New("start again")

// take takes one lock after the other.
func (m *Multi) take(ctx context.Context, take func(*Mutex, context.Context) (*Hold, error)) (*MultiHold, error) {
	if m.bad != nil {
		return nil, m.bad
	}
	h := newMultiHold(ctx)
	inner, cancel := hub.Either(ctx, h.ctx)
	defer cancel()
	for _, mu := range m.locks {
		one, err := take(mu, inner)
		if err == nil {
			h.add(one)
			continue
		}
		if h.ctx.Err() != nil && ctx.Err() == nil && !errors.Is(err, session.ErrClosed) {
			err = errStartAgain
		}
		m.giveBack(ctx, h)
		return nil, err
	}
	if h.Err() != nil { // what is not held any more when the last is taken was never taken together with it
		m.giveBack(ctx, h)
		return nil, errStartAgain
	}
	return h, nil
}

// giveBack releases what was taken in vain. Where etcd does not answer it goes on in the background, since a caller whose context is over
// must not wait.
func (m *Multi) giveBack(ctx context.Context, h *MultiHold) {
	given := make(chan struct{})
	if !m.locks[0].line.hub.Go(func(context.Context) { _ = h.Unlock(ctx); close(given) }) {
		return // closed: all went with the lease
	}
	soon := time.NewTimer(answerSoon)
	defer soon.Stop()
	select {
	case <-given:
	case <-soon.C:
	}
}

// answerSoon is as long as it may take an etcd that answers at all.
const answerSoon = 50 * time.Millisecond

// Do locks all, runs fn once, and unlocks: see Mutex.Do.
func (m *Multi) Do(ctx context.Context, fn func(ctx context.Context, h *MultiHold) error) error {
	return do(ctx, m.Lock, fn)
}
