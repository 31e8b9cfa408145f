package config

import (
	"context"

	"etcdkit/internal/retry"
)

// save keeps the last good file up with the value until ctx ends, and leaves it so. A disk that is slow or full holds up nothing else:
// of values that come meanwhile the newest is written.
func (f *follower) save(ctx context.Context) {
	written, _ := f.file() // if it is unusable, it is written anew
	var last *view
	var pause retry.Backoff
	for {
		now, end := f.await(ctx, last)
		if end != nil {
			now = f.newest()
		}
		err := f.bring(&written, now)
		switch {
		case end != nil:
			return
		case err != nil:
			_ = pause.Wait(ctx) // if it is over, the next turn is the last
		default:
			last = now
			pause.Reset()
		}
	}
}

// bring writes the file if it does not say what the view does.
func (f *follower) bring(written **lastGood, now *view) error {
	if (*written).holds(now) {
		return nil
	}
	good, err := f.write(now)
	f.mu.Lock()
	first := err != nil && f.unsaved == nil
	f.unsaved = err
	f.mu.Unlock()
	if first {
		f.hub.Log.Warn("config cannot write its last good file, and will try again", "name", f.name, "error", err)
	}
	if err == nil {
		*written = good
	}
	return err
}
