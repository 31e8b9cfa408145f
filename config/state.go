package config

import (
	"context"
	"errors"
	"time"

	"etcdkit/session"
)

// await returns the view that follows on last, the first one if that is nil, or why there will be none.
func (f *follower) await(ctx context.Context, last *view) (*view, error) {
	for {
		f.mu.Lock()
		now, changed, end := f.now, f.changed, f.end
		f.mu.Unlock()
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

// replace puts a view in the place of the one that it was made from. It is false if that is not the newest any more.
func (f *follower) replace(last, now *view) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now != last {
		return false
	}
	f.now = now
	if last == nil || last.value != now.value {
		f.publish(now.value)
	}
	f.tellLocked()
	return true
}

// finish notes that nothing follows any more, and why.
func (f *follower) finish(err error) {
	if f.newest() != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, session.ErrClosed) { // else Watch returns the error
		f.hub.Log.Error("config is not followed any more", "name", f.name, "error", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end, f.ended = err, time.Now()
	f.tellLocked()
}

func (f *follower) tellLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *follower) newest() *view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *follower) snapshot() (now *view, stale time.Duration, end error) {
	stale = f.stale()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now, stale, f.wrap(f.end)
}

func (f *follower) stale() time.Duration {
	if f.mirror == nil {
		return 0
	}
	stale := f.mirror.Stale()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end != nil {
		stale = max(stale, time.Since(f.ended), 1)
	}
	if !f.now.saved.IsZero() {
		stale = max(stale, time.Since(f.now.saved), 1)
	}
	return stale
}
