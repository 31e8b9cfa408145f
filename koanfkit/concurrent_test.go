package koanfkit

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"etcdkit/config"
)

// Everything at once: whoever reads sees whole values, whoever watches is called by one goroutine, and Close ends all of it.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `{"a":0,"b":0}`)
	layer := mustProvide(t, s)
	var inside, calls atomic.Int64
	callback := func(event any, _ error) {
		if inside.Add(1) != 1 {
			t.Error("two calls at once")
		}
		calls.Add(1)
		if ch, ok := event.(*config.Change[map[string]any]); ok && ch.New["a"] != ch.New["b"] {
			t.Errorf("told %v", ch.New)
		}
		inside.Add(-1)
	}
	const writes = 50
	var group, reading sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if k := load(t, layer); k.Int("a") != k.Int("b") {
					t.Errorf("read %v", k.Raw())
				}
				if _, err := layer.ReadBytes(); err != nil {
					t.Error(err)
				}
				layer.Stale()
			}
		})
	}
	for range 2 {
		group.Go(func() {
			for range writes {
				if err := layer.Watch(callback); err != nil && !errors.Is(err, ErrWatched) {
					t.Error(err)
				}
				if err := layer.Unwatch(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := 1; i <= writes; i++ {
		mustPut(t, client, keyOf, fmt.Sprintf(`{"a":%d,"b":%d}`, i, i))
	}
	group.Wait()
	got := mustWatch(t, layer)
	for load(t, layer).Int("a") != writes {
		got.change(t)
	}
	var closing sync.WaitGroup
	for range 2 {
		closing.Go(func() {
			if err := layer.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closing.Wait()
	after := calls.Load()
	close(stop)
	reading.Wait()
	if err := layer.Watch(callback); !errors.Is(err, config.ErrClosed) || calls.Load() != after {
		t.Errorf("after Close: %v, %d calls", err, calls.Load()-after)
	}
}
