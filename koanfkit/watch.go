package koanfkit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"etcdkit/config"
)

var (
	// ErrStale says that the value is not known to be what stands in etcd. It is told once each time that begins.
	ErrStale = errors.New("out of step with etcd")
	// ErrWatched says that there is a callback already.
	ErrWatched = errors.New("is watched already")
)

// glance is how often a watch looks whether the value is stale.
const glance = time.Second

// watch is the owner of the goroutines that serve one callback.
type watch struct {
	cancel context.CancelFunc
	group  sync.WaitGroup
}

// pair is one of config.Value.Changes.
type pair struct {
	change *config.Change[map[string]any]
	err    error
}

// Watch calls cb from now on, until Unwatch, Close, or an error that ends it; see the package's doc for when, and with what. There can be
// one callback at a time.
func (l *Layer) Watch(cb func(event any, err error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return l.wrap(config.ErrClosed)
	case l.watch != nil:
		return l.wrap(ErrWatched)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{cancel: cancel}
	l.watch = w
	pairs := make(chan pair)
	read := l.read
	w.group.Go(func() { l.follow(ctx, pairs) })
	w.group.Go(func() { l.tell(ctx, pairs, read, cb) })
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

// follow hands the changes over. While a callback is under way it waits, and config makes one change of what comes meanwhile.
func (l *Layer) follow(ctx context.Context, pairs chan<- pair) {
	for ch, err := range l.value.Changes(ctx) {
		select {
		case pairs <- pair{ch, err}:
		case <-ctx.Done():
			return
		}
	}
}

// tell is the one goroutine that calls. The first change is the state as it is: it is told if it is not that of the revision that was read.
func (l *Layer) tell(ctx context.Context, pairs <-chan pair, read int64, cb func(event any, err error)) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	first, told := true, false
	for {
		select {
		case p := <-pairs:
			if ctx.Err() != nil {
				return
			}
			if p.err != nil {
				cb(nil, p.err) // it has the name in it
				return
			}
			if first && l.isUnread(p.change, read) || !first && isNews(p.change) {
				cb(p.change, nil)
			}
			if p.change.Refused != nil {
				cb(nil, l.wrap(p.change.Refused))
			}
			first = false
		case <-tick.C:
			stale := l.value.Stale()
			if stale > 0 && !told && ctx.Err() == nil {
				cb(nil, l.wrap(fmt.Errorf("%w for %v", ErrStale, stale.Round(time.Millisecond))))
			}
			told = stale > 0
		case <-ctx.Done():
			return
		}
	}
}

// isUnread tells whether the first change has another value than the one that was read at that revision.
func (l *Layer) isUnread(ch *config.Change[map[string]any], read int64) bool {
	if ch.Refused == nil {
		return ch.Revision != read
	}
	return l.value.Snapshot().Revision != read // the revision of the change is the one that was refused
}

// isNews tells whether there is more in a change than a refusal.
func isNews(ch *config.Change[map[string]any]) bool { return ch.Refused == nil || len(ch.Fields) > 0 }

func (l *Layer) wrap(err error) error { return fmt.Errorf("koanfkit: config %q: %w", l.name, err) }
