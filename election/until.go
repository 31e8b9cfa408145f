package election

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
	"etcdkit/internal/stream"
)

// until calls look again and again, whenever one of two keys at most may have changed, until it is done or ctx ends, or it must not
// look. It looks at the start, too.
func (e *Election) until(ctx context.Context, on *stream.Stream, look func(context.Context) (done bool, err error), keys ...string) error {
	var pause retry.Backoff
	for {
		begun := time.Now()
		done, err := e.lookOn(ctx, on, look, keys)
		if done || retry.Of(err) == retry.Never && !errors.Is(err, rpctypes.ErrCompacted) {
			return err
		}
		e.hub.Log.Debug("a watch ended; opening another", "keys", keys, "error", err)
		if time.Since(begun) > time.Second {
			pause.Reset()
		}
		if ended := pause.Wait(ctx); ended != nil {
			return ended
		}
	}
}

// lookOn is until for as long as the watches live.
func (e *Election) lookOn(ctx context.Context, on *stream.Stream, look func(context.Context) (bool, error), keys []string) (bool, error) {
	watching, cancel := e.hub.Lasting(ctx)
	defer cancel()
	var watches [2]*stream.Watch
	var responses [2]clientv3.WatchChan
	for i, key := range keys {
		w, err := on.Watch(watching, e.hub.Client, key)
		if err != nil {
			return false, err
		}
		watches[i], responses[i] = w, w.Responses
	}
	for {
		done, err := look(ctx)
		if done || err != nil {
			return done, err
		}
		i := 0
		var resp clientv3.WatchResponse
		var ok bool
		select {
		case resp, ok = <-responses[0]:
		case resp, ok = <-responses[1]:
			i = 1
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		if !ok {
			return false, errors.New("the watch ended without a word")
		}
		if err := resp.Err(); err != nil {
			if errors.Is(err, rpctypes.ErrInvalidAuthToken) {
				watches[i].Replace() // a stream keeps the token that it began with
			}
			return false, err
		}
	}
}
