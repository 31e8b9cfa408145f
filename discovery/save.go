package discovery

import (
	"context"
	"fmt"
	"time"

	"etcdkit/internal/lastgood"
	"etcdkit/internal/retry"
)

const (
	saveEvery    = time.Second // at most
	confirmEvery = time.Minute // so often the file says until when the list is known to be true, although it is the same
)

// save keeps the last good file up with the view until ctx ends, and leaves it so. A disk that is slow or full holds up nothing else.
func (v *View) save(ctx context.Context) {
	var last *Snapshot
	pause := retry.Backoff{Min: saveEvery, Max: 30 * time.Second}
	for ctx.Err() == nil {
		confirming, cancel := context.WithTimeout(ctx, confirmEvery)
		now, end := v.await(confirming, last)
		cancel()
		switch {
		case ctx.Err() != nil:
		case end == nil:
			last = now
			if v.write() == nil {
				pause.Reset()
			} else {
				last = nil
			}
			_ = pause.Wait(ctx) // the loop sees its end
		case confirming.Err() != nil:
			if v.Stale() == 0 {
				_ = v.write() // the next one is soon
			}
		default: // nothing is followed any more
			<-ctx.Done()
		}
	}
	_ = v.write() // Close returns the error
}

// write replaces the file. What is the same and was no longer true is not written again.
func (v *View) write() error {
	v.mu.Lock()
	f, all := v.newFileLocked(time.Now())
	until := v.book.until
	v.mu.Unlock()
	f.fill(all, until)
	if f.Checksum == v.sum {
		return nil
	}
	err := lastgood.Replace(*v.opts.lastGood, append(f.encode(), '\n'), func(old []byte) error {
		_, foreign, _ := v.parseFile(old)
		return foreign
	})
	if err != nil {
		err = fmt.Errorf("last good file: %w", err)
	} else {
		v.sum = f.Checksum
	}
	v.mu.Lock()
	first := err != nil && v.unsaved == nil
	v.unsaved = err
	v.mu.Unlock()
	if first {
		v.hub.Log.Warn("discovery cannot write its last good file, and will try again", "service", v.service, "error", err)
	}
	return err
}
