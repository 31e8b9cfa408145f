package mirror

import (
	"context"
	"iter"
	"slices"
	"time"
)

// subscription is one walk over the updates. What it was not told yet waits for it as one net difference.
type subscription struct {
	wake chan struct{} // holds a token when there is something to tell
	key  string        // that it is about; "" for all keys

	// Protected by the mirror's mutex.
	pending  diff
	due      bool // there is an update, even if it is empty: the first
	resynced bool
	steps    *steps // of a walk over changes; nil for one over updates
	tells    bool   // also of being in step or not
	turned   bool   // there is news of that
	since    time.Time
}

// subscriptions are in a map by key, so that a change is told to those whom it is about without asking the others.
type subscriptions map[string][]*subscription

func (all subscriptions) add(s *subscription) { all[s.key] = append(all[s.key], s) }

func (all subscriptions) remove(s *subscription) {
	rest := slices.DeleteFunc(all[s.key], func(other *subscription) bool { return other == s })
	if len(rest) == 0 {
		delete(all, s.key)
		return
	}
	all[s.key] = rest
}

// Updates walks from the whole state, as the first update, to each difference, as it comes. A consumer that is slower than the
// changes gets them folded. The last pair is nil and an error: the cause of ctx's end, or that of Run.
func (m *Mirror) Updates(ctx context.Context) iter.Seq2[*Update, error] {
	return m.walk(ctx, "", func(*subscription) {})
}

// UpdatesOf is Updates about one key: whatever else changes costs it nothing, so that a thousand keys can be followed apart.
func (m *Mirror) UpdatesOf(ctx context.Context, key string) iter.Seq2[*Update, error] {
	return m.walk(ctx, key, func(*subscription) {})
}

// Follow is UpdatesOf, or Updates if key is empty, and also tells when the mirror falls out of step and is in step again
// (Update.StaleSince), by an update without a difference if there is none.
func (m *Mirror) Follow(ctx context.Context, key string) iter.Seq2[*Update, error] {
	return m.walk(ctx, key, func(s *subscription) { s.tells = true })
}

// walk is Updates, about one key if there is one, by a subscription that is prepared to tell more.
func (m *Mirror) walk(ctx context.Context, key string, prepare func(*subscription)) iter.Seq2[*Update, error] {
	return func(yield func(*Update, error) bool) {
		if err := m.Ready(ctx); err != nil {
			yield(nil, err)
			return
		}
		s := newSubscription(key)
		prepare(s)
		m.subscribe(s)
		defer m.unsubscribe(s)
		for {
			u, err := m.next(ctx, s)
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

func newSubscription(key string) *subscription {
	return &subscription{wake: make(chan struct{}, 1), key: key, due: true}
}

func (m *Mirror) subscribe(s *subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch item := m.state.items[s.key]; {
	case s.key == "":
		s.pending = between(nil, m.state.items)
	case item != nil:
		s.pending = diff{s.key: {new: item}}
	default:
		s.pending = diff{}
	}
	m.subs.add(s)
	s.steps.begin(s.pending, m.state.revision, m.fresh)
	s.since = m.fresh.since()
}

func (m *Mirror) unsubscribe(s *subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subs.remove(s)
}

// next waits for an update. What was known when Run returned is still told, before its error.
func (m *Mirror) next(ctx context.Context, s *subscription) (*Update, error) {
	for {
		ended := false
		select {
		case <-m.done:
			ended = true
		default:
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if u := m.take(s); u != nil {
			return u, nil
		}
		if ended {
			return nil, m.ended()
		}
		select {
		case <-s.wake:
		case <-m.done:
		case <-ctx.Done():
		}
	}
}

// take returns what a subscription was not told yet, nil if that is nothing.
func (m *Mirror) take(s *subscription) *Update {
	m.mu.Lock()
	if s.steps != nil {
		defer m.mu.Unlock()
		return s.steps.take()
	}
	if !s.due && len(s.pending) == 0 && !s.turned {
		m.mu.Unlock()
		return nil
	}
	d, revision, resynced := s.pending, m.state.revision, s.resynced
	s.pending, s.due, s.resynced, s.turned = diff{}, false, false, false
	since := s.since
	m.mu.Unlock()
	u := d.update(revision, resynced) // sorting can take a while
	if s.tells {
		u.StaleSince = since
	}
	return u
}

// turn takes note of being in step or not. It is true if that is news.
func (s *subscription) turn(f freshness) bool {
	if s.steps != nil {
		return s.steps.turn(f)
	}
	since := f.since()
	if !s.tells || since.IsZero() == s.since.IsZero() {
		return false
	}
	s.since, s.turned = since, true
	return true
}

// deliverLocked adds a difference to what each subscription is to be told, and returns whom to wake once the mutex is free.
func (m *Mirror) deliverLocked(d diff, resynced bool) (wake []*subscription) {
	if len(d) == 0 {
		return nil
	}
	for _, s := range m.subs[""] {
		wake = append(wake, s)
		if s.steps != nil {
			s.steps.add(d, m.state.revision, resynced)
			continue
		}
		s.pending.merge(d)
	}
	for key, c := range d {
		for _, s := range m.subs[key] {
			s.pending.append(key, c)
			wake = append(wake, s)
		}
	}
	for _, s := range wake {
		s.resynced = (s.resynced || resynced) && !s.due
	}
	return wake
}

func wakeAll(subs []*subscription) {
	for _, s := range subs {
		select {
		case s.wake <- struct{}{}:
		default: // it has a token already
		}
	}
}
