package koanfkit

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/config"
)

var (
	// ErrStale says that the value is not known to be what stands in etcd. It is told once each time that begins.
	ErrStale = errors.New("out of step with etcd")
	// ErrWatched says that there is a callback already.
	ErrWatched = errors.New("is watched already")
)

// change is what a callback is told.
type change = config.Change[map[string]any]

// reading is what somebody read.
type reading = config.Snapshot[map[string]any]

// watch is the owner of the goroutine that serves one callback.
type watch struct {
	cancel context.CancelFunc
	group  sync.WaitGroup
	ended  atomic.Bool // by an error, after the last call
}

// Watch calls cb from now on, until Unwatch, Close, or an error that ends it; see the package's doc for when, and with what. There can be
// one callback at a time.
func (l *Layer) Watch(cb func(event any, err error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return l.wrap(config.ErrClosed)
	case l.watch != nil && !l.watch.ended.Load():
		return l.wrap(ErrWatched)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{cancel: cancel}
	l.watch = w
	read := l.read
	w.group.Go(func() {
		l.tell(ctx, read, cb)
		cancel()
		w.ended.Store(true)
	})
	return nil
}

// Unwatch ends the calls, and returns when the last one has returned. Where nobody watches it does nothing. It returns no error, but
// koanf's providers have one.
func (l *Layer) Unwatch() error {
	l.mu.Lock()
	w := l.watch
	l.mu.Unlock()
	if w == nil {
		return nil
	}
	w.cancel()
	w.group.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watch == w {
		l.watch = nil
	}
	return nil
}

// tell is the goroutine that calls. While a call is under way, config makes one change of what comes. The first change is the state as it
// is: it is told if it is not what was read.
func (l *Layer) tell(ctx context.Context, read reading, cb func(event any, err error)) {
	first, last := true, new(change)
	for ch, err := range l.value.Changes(ctx) {
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			cb(nil, err) // it has the name in it
			return
		}
		if first && l.isUnread(ch, read) || !first && isNews(last, ch) {
			cb(ch, nil)
		}
		if ch.Refused != nil && (last.Refused == nil || ch.Revision != last.Revision) {
			cb(nil, l.wrap(ch.Refused))
		}
		if last.StaleSince.IsZero() && !ch.StaleSince.IsZero() {
			cb(nil, l.wrap(fmt.Errorf("%w since %s", ErrStale, ch.StaleSince.Format(time.RFC3339))))
		}
		first, last = false, ch
	}
}

// isUnread tells whether the first change has another value, or that of another revision, than what was read.
func (l *Layer) isUnread(ch *change, read reading) bool {
	switch {
	case !reflect.DeepEqual(ch.New, read.Value):
		return true
	case ch.Refused == nil:
		return ch.Revision != read.Revision
	}
	return l.value.Snapshot().Revision != read.Revision // the revision of the change is the one that was refused
}

// isNews tells whether there is more in a change than a refusal, or how fresh the value is.
func isNews(last, ch *change) bool {
	return len(ch.Fields) > 0 || ch.Refused == nil && (ch.Revision != last.Revision || ch.Deleted != last.Deleted || last.Refused != nil)
}

func (l *Layer) wrap(err error) error { return fmt.Errorf("koanfkit: config %q: %w", l.name, err) }
