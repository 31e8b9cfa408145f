package hub

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func newHub() *Hub {
	return New(Config{
		Client: clientv3.NewCtxClient(context.Background()), // no connection
		Log:    slog.New(slog.DiscardHandler),
		Grace:  time.Second,
		Hooks: Hooks{
			Queued: func(string) {}, Waiting: func(string) {}, Acquired: func(string, int64, time.Duration) {},
			Released: func(string, int64, time.Duration) {}, Retried: func(string, error) {},
		},
	})
}

var errOver = errors.New("over")

func TestCloseEndsAndAwaitsGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		var ended atomic.Bool
		h.Go(func(ctx context.Context) {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), errOver) {
				t.Errorf("cause %v", context.Cause(ctx))
			}
			time.Sleep(time.Second)
			ended.Store(true)
		})
		if err := h.Close(t.Context(), errOver); err != nil || !ended.Load() {
			t.Errorf("Close = %v, ended %v", err, ended.Load())
		}
		if h.Go(func(context.Context) { t.Error("ran after Close") }) {
			t.Error("Go says that it ran after Close")
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.Go(func(context.Context) { time.Sleep(time.Minute) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := h.Close(ctx, errOver); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Close = %v after %v", err, time.Since(start))
		}
		time.Sleep(time.Minute)
	})
}

func TestShareCountsItsUsers(t *testing.T) {
	t.Parallel()
	h := newHub()
	opened, closed := 0, 0
	share := func() any {
		return h.Share("a", func() (any, func()) { opened++; return opened, func() { closed++ } })
	}
	if share() != share() || opened != 1 {
		t.Errorf("opened %d times for two users", opened)
	}
	h.Unshare("a")
	if closed != 0 {
		t.Error("closed under a user")
	}
	h.Unshare("a")
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
	if share() != 2 {
		t.Error("what was closed came back")
	}
}

func TestCleanUpIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		tries := 0
		h.CleanUp("a", func(context.Context) error {
			if tries++; tries < 5 {
				return errors.New("not yet")
			}
			return nil
		})
		if err := h.Idle(t.Context()); err != nil || tries != 5 {
			t.Errorf("Idle = %v after %d tries", err, tries)
		}
		h.CleanUp("b", func(context.Context) error { return errors.New("never") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := h.Idle(ctx); err == nil {
			t.Error("Idle did not wait for a clean-up")
		}
		if err := h.Close(t.Context(), errOver); err != nil {
			t.Errorf("Close = %v", err)
		}
		if err := h.Idle(t.Context()); err != nil {
			t.Errorf("Idle after Close = %v", err)
		}
		h.CleanUp("c", func(context.Context) error { t.Error("ran after Close"); return nil })
		if err := h.Idle(t.Context()); err != nil {
			t.Errorf("Idle = %v", err)
		}
	})
}

func TestReleaseContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		over, cancel := context.WithCancel(context.WithValue(t.Context(), errOver, "value"))
		cancel()
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		in := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
		none := func() time.Time { return time.Time{} }
		tests := []struct {
			name     string
			ctx      context.Context
			deadline func() time.Time
			want     time.Duration
		}{
			{"the context ends first", short, in(10 * time.Second), 300 * time.Millisecond},
			{"over already: the grace", over, in(10 * time.Second), time.Second},
			{"over already, no lease", over, none, time.Second},
			{"over already, the lease ends first", over, in(200 * time.Millisecond), 200 * time.Millisecond},
			{"no end of its own: the lease", t.Context(), in(10 * time.Second), 10 * time.Second},
		}
		for _, test := range tests {
			start := time.Now()
			ctx, cancel := h.ReleaseContext(test.ctx, test.deadline())
			if ctx.Err() != nil {
				t.Errorf("%s: over at once", test.name)
			}
			if ctx.Value(errOver) != test.ctx.Value(errOver) {
				t.Errorf("%s: the values are gone", test.name)
			}
			<-ctx.Done()
			if took := time.Since(start); took != test.want || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				t.Errorf("%s: it ended after %v with %v", test.name, took, context.Cause(ctx))
			}
			cancel()
		}
	})
}

func TestInfoRoundTrips(t *testing.T) {
	t.Parallel()
	info := Describe(map[string]string{"a": "b"})
	if got := ParseInfo([]byte(info.String())); got.PID != info.PID || got.Host != info.Host || !got.Since.Equal(info.Since) || got.Labels["a"] != "b" {
		t.Errorf("%+v became %+v", info, got)
	}
	for _, junk := range []string{"", "junk", "[1]", `{"pid":"no"}`} {
		if got := ParseInfo([]byte(junk)); got.PID != 0 || got.Host != "" {
			t.Errorf("%q became %+v", junk, got)
		}
	}
	if got := ParseInfo([]byte(`{"v":7,"host":"later","more":1}`)); got.Host != "later" {
		t.Errorf("a later version became %+v", got)
	}
}

// Who has something to say before the lease is given back says it once, unless it was taken back, and nobody is waited for longer than ctx.
func TestSayBye(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		said := make(chan string, 3)
		h.OnClose(func(context.Context) { said <- "one" })
		undo := h.OnClose(func(context.Context) { said <- "undone" })
		h.OnClose(func(ctx context.Context) { <-ctx.Done(); said <- "two" })
		undo()
		undo()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		h.SayBye(ctx)
		h.SayBye(ctx)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it took %v", took)
		}
		if a, b := <-said, <-said; a != "one" || b != "two" || len(said) > 0 {
			t.Errorf("said: %s, %s", a, b)
		}
	})
}
