package config

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"
	"time"

	"etcdkit/internal/hub"
	"etcdkit/internal/mirror"
	"etcdkit/session"
)

// follower keeps a value in step with etcd, whatever its type. It is the owner of up to three goroutines: one follows, one writes the last
// good file and one reports.
type follower struct {
	hub     *hub.Hub
	name    string
	id      string // tells it from others of that name in one session
	place   place
	opts    options
	decoder *decoder
	publish func(value any) // for those who read without a lock
	bad     error           // what is wrong with the name or the options

	mirror *mirror.Mirror            // nil for a fixed value
	cancel context.CancelCauseFunc   // ends the goroutines
	group  sync.WaitGroup            // of the goroutines
	file   func() (*lastGood, error) // the last good file as it was found, read once

	// For the goroutine that follows alone.
	items map[string]*mirror.Item // what stands in etcd, by path
	junk  bool                    // a key that is none of ours was seen

	mu      sync.Mutex // protects what follows
	now     *view      // nil before the first
	changed chan struct{}
	end     error // why nothing follows on now
	ended   time.Time
	unsaved error // why the last good file is behind
}

func newFollower(h *hub.Hub, name string, o options, d *decoder) *follower {
	f := &follower{hub: h, name: name, id: rand.Text()[:12], opts: o, decoder: d, changed: make(chan struct{})}
	if f.bad = h.Check(); f.bad != nil {
		return f
	}
	if f.bad = o.checkWatch(); f.bad != nil {
		return f
	}
	if f.bad = d.sound(); f.bad != nil {
		return f
	}
	f.place, f.bad = o.place(h, name)
	f.file = sync.OnceValues(f.load)
	return f
}

// newFixed returns a follower that has nothing to follow.
func newFixed(value any) *follower {
	f := &follower{name: "fixed", now: &view{value: value}, changed: make(chan struct{})}
	f.cancel = f.finish
	return f
}

// start follows, and returns once there is a value.
func (f *follower) start(ctx context.Context) error {
	if f.bad != nil {
		return f.bad
	}
	if f.opts.lastGood != nil {
		switch _, err := f.file(); {
		case errors.Is(err, errForeign):
			return err // it would fail at each save
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			f.hub.Log.Warn("config cannot use its last good file", "name", f.name, "error", err)
		}
	}
	var release func()
	f.mirror, release = f.place.mirror(f.hub)
	following, cancel := context.WithCancelCause(f.hub.Context())
	f.cancel = cancel
	if !f.spawn(following, func(ctx context.Context) { f.run(ctx, release) }) {
		release()
		return session.ErrClosed
	}
	if err := f.first(ctx); err != nil {
		cancel(err)
		f.group.Wait()
		return err
	}
	if f.opts.lastGood != nil {
		f.spawn(following, f.save)
	}
	if f.opts.report {
		f.spawn(following, f.report)
	}
	return nil
}

// spawn runs a goroutine for which both the session and the follower wait.
func (f *follower) spawn(ctx context.Context, run func(ctx context.Context)) bool {
	f.group.Add(1)
	ok := f.hub.Go(func(context.Context) { defer f.group.Done(); run(ctx) })
	if !ok {
		f.group.Done()
	}
	return ok
}

// first waits for the first value, from etcd or, where that fails, from the last good file.
func (f *follower) first(ctx context.Context) error {
	_, err := f.await(ctx, nil)
	if err == nil || errors.Is(err, session.ErrClosed) {
		return err
	}
	if ctx.Err() != nil {
		// The mirror knows what stood in the way.
		if why := f.mirror.Ready(ctx); why != nil {
			err = why
		}
		if !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
	if f.opts.lastGood == nil {
		return err
	}
	return f.boot(err)
}

// run follows until ctx ends, or nothing can be followed any more.
func (f *follower) run(ctx context.Context, release func()) {
	defer release()
	for u, err := range f.updates(ctx) {
		if err == nil {
			err = f.apply(u)
		}
		if err != nil {
			f.finish(err)
			return
		}
	}
}

func (f *follower) updates(ctx context.Context) iter.Seq2[*mirror.Update, error] {
	if f.place.tree {
		return f.mirror.Follow(ctx, "")
	}
	return f.mirror.Follow(ctx, f.place.key)
}

func (f *follower) close() error {
	f.cancel(ErrClosed)
	f.group.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wrap(f.unsaved)
}

// wrap puts the name before an error, if there is one.
func (f *follower) wrap(err error) error {
	if err == nil {
		return nil
	}
	return wrap(f.name, err)
}
