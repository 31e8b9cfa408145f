package discovery

import (
	"context"
	"fmt"
	"sync"

	"etcdkit/internal/retry"
)

// post is an ID within a session, whose registrations are all under one lease, which so cannot tell them apart: one at a time holds it.
type post struct {
	mu     sync.Mutex    // protects what follows
	holder *Registration // nil if it is free
	freed  chan struct{} // closed when the holder gives it back
}

// occupy takes the ID within the session. It waits until what is left of a registration that has ended is cleaned up.
func (r *Registration) occupy(ctx context.Context) error {
	name := "registration " + r.key
	s := r.hub.Share(name, func() (any, func()) { return new(post), nil }).(*post)
	if err := s.take(ctx, r); err != nil {
		r.hub.Unshare(name)
		return err
	}
	r.vacate = sync.OnceFunc(func() { s.free(); r.hub.Unshare(name) })
	return nil
}

func (s *post) take(ctx context.Context, r *Registration) error {
	for {
		s.mu.Lock()
		holder, freed := s.holder, s.freed
		if holder == nil {
			s.holder, s.freed = r, make(chan struct{})
		}
		s.mu.Unlock()
		switch {
		case holder == nil:
			return nil
		case !holder.over():
			return &TakenError{ID: r.id}
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return fmt.Errorf("a former registration is still being taken back: %w", retry.BothEnds(ctx, context.Cause(ctx)))
		case <-r.hub.Context().Done():
			return context.Cause(r.hub.Context())
		}
	}
}

func (s *post) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holder = nil
	close(s.freed)
}

// over tells whether the registration has ended: what it still does is to leave nothing.
func (r *Registration) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}
