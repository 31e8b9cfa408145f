package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/internal/hub"
	"etcdkit/internal/mirror"
	"etcdkit/session"
)

// View is a service that is followed. It is safe for concurrent use.
type View struct {
	current atomic.Pointer[Snapshot] // nil if nobody has read since the last change

	service string
	hub     *hub.Hub // nil if the view is fixed
	source  source
	opts    options

	mirror *mirror.Mirror
	cancel context.CancelCauseFunc // ends the goroutines
	group  sync.WaitGroup          // of the goroutines
	wake   chan struct{}           // holds a token when the probation has something new
	file   *file                   // the last good file as it was found, for the start; nil if there is none
	sum    string                  // of the file as it is, as far as is known; for the goroutine that writes it

	mu      sync.Mutex // protects what follows
	book    book
	begun   bool // the book says something
	changed chan struct{}
	end     error // why nothing is followed any more
	unsaved error // why the last good file is behind
}

// Watch follows a service. It returns after one read, and if etcd cannot be asked before ctx ends, with the last good list, if there is one
// (WithLastGood), marked as stale, else with an error. It needs no lease.
func Watch(ctx context.Context, s *session.Session, service string, opts ...Option) (*View, error) {
	v := &View{service: service, hub: s.Hub(), opts: newOptions(opts), wake: make(chan struct{}, 1), changed: make(chan struct{})}
	if err := v.start(ctx); err != nil {
		return nil, wrap(service, err)
	}
	return v, nil
}

// Fixed returns a view that never changes, for tests of what reads one.
func Fixed(instances ...Instance) *View {
	v := &View{service: "fixed", changed: make(chan struct{})}
	snap := &Snapshot{mods: make([]int64, len(instances))}
	for _, inst := range instances {
		if inst.ID == "" {
			inst.ID = inst.Addr
		}
		snap.Instances = append(snap.Instances, clone(inst))
	}
	slices.SortStableFunc(snap.Instances, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	v.current.Store(snap)
	v.begun = true
	v.cancel = func(err error) { v.finish(err) }
	return v
}

func (v *View) start(ctx context.Context) (err error) {
	if err = v.hub.Check(); err != nil {
		return err
	}
	if err = v.opts.checkWatch(); err != nil {
		return err
	}
	if v.source, err = newSource(v.hub, v.service, v.opts.endpoints); err != nil {
		return err
	}
	if err = v.load(); err != nil {
		return err
	}
	v.book = newBook(v.hub.TTL)
	var release func()
	v.mirror, release = v.hub.Mirror(v.source.prefix)
	following, cancel := context.WithCancelCause(v.hub.Context())
	v.cancel = cancel
	if !v.spawn(following, func(ctx context.Context) { v.follow(ctx, release) }) {
		release()
		return session.ErrClosed
	}
	if err = v.first(ctx); err != nil {
		cancel(err)
		v.group.Wait()
		return err
	}
	v.file = nil // it can be big
	v.spawn(following, v.guard)
	if v.opts.lastGood != nil {
		v.spawn(following, v.save)
	}
	return nil
}

// spawn runs a goroutine for which both the session and the view wait.
func (v *View) spawn(ctx context.Context, run func(ctx context.Context)) bool {
	v.group.Add(1)
	ok := v.hub.Go(func(context.Context) { defer v.group.Done(); run(ctx) })
	if !ok {
		v.group.Done()
	}
	return ok
}

// first waits for the first list, from etcd or, where that fails, from the last good file.
func (v *View) first(ctx context.Context) error {
	_, err := v.await(ctx, nil)
	if err == nil || errors.Is(err, session.ErrClosed) {
		return err
	}
	if ctx.Err() != nil {
		if why := v.mirror.Ready(ctx); why != nil { // the mirror knows what stood in the way
			err = why
		}
		if !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
	if v.file == nil {
		return err
	}
	v.boot(err)
	return nil
}

// Service returns the name of the service.
func (v *View) Service() string { return v.service }

// Instances returns who takes requests, in the order of their IDs, at the cost of a load; the first to ask after a change pays for a copy of the list. It
// is read-only.
func (v *View) Instances() []Instance { return v.Snapshot().Instances }

// Snapshot returns all that is known of the service, at the cost of Instances.
func (v *View) Snapshot() *Snapshot {
	if s := v.current.Load(); s != nil {
		return s
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.snapshotLocked()
}

func (v *View) snapshotLocked() *Snapshot {
	s := v.current.Load()
	if s == nil {
		s = v.book.snapshot()
		v.current.Store(s)
	}
	return s
}

// Stale returns zero while the view is in step with etcd, as far as is known, else for how long that is not proven.
func (v *View) Stale() time.Duration {
	since := v.Snapshot().StaleSince
	if since.IsZero() {
		return 0
	}
	return max(time.Since(since), 1) // never zero, however coarse the clock
}

// Close ends the following. What was known last can still be read. The error is that of a last good file that could not be written.
func (v *View) Close() error {
	v.cancel(ErrClosed)
	v.group.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	return wrap(v.service, v.unsaved)
}

// await returns the snapshot that follows on last, the first one if that is nil, or why there will be none.
func (v *View) await(ctx context.Context, last *Snapshot) (*Snapshot, error) {
	for {
		var now *Snapshot
		v.mu.Lock()
		if v.begun {
			now = v.snapshotLocked()
		}
		changed, end := v.changed, v.end
		v.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case now != last:
			return now, nil
		case end != nil:
			return nil, end
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// publishLocked has the next reader see what the book says now. Where nobody reads, or many changes come at once, no list is copied for each.
func (v *View) publishLocked() {
	v.begun = true
	if len(v.book.edits) > mostEdits {
		v.book.update()
	}
	v.current.Store(nil)
	v.tellLocked()
}

// mostEdits bounds what is kept for the next reader, who may never come.
const mostEdits = 256

func (v *View) tellLocked() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// finish notes that nothing is followed any more, and why.
func (v *View) finish(why error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.end != nil {
		return
	}
	v.end = why
	v.tellLocked()
}
