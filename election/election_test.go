package election

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// offline is a session without a connection: what is refused at once needs none.
func offline() *session.Session { return session.New(clientv3.NewCtxClient(context.Background())) }

func TestBadInputIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []Option
		want string
	}{
		{"a//b", nil, `bad election name "a//b": it has an empty segment`},
		{"a", []Option{WithKey("k/")}, `bad key "k/": it ends with a slash`},
		{"a", []Option{WithPriority(-1)}, `election "a": a priority of -1 is not from 0 to 100`},
		{"a", []Option{WithPriority(101)}, `election "a": a priority of 101 is not from 0 to 100`},
		{"a", []Option{WithValue(strings.Repeat("x", maxValue+1))}, `election "a": a value of 1048577 bytes is more than 1048576`},
	}
	s, ctx := offline(), t.Context()
	for _, test := range tests {
		e := New(s, test.name, test.opts...)
		_, campaign := e.Campaign(ctx)
		run := e.Run(ctx, func(context.Context, *Term) error { t.Error("it leads"); return nil })
		_, leader := e.Leader(ctx)
		_, candidates := e.Candidates(ctx)
		for l, err := range e.Leaders(ctx) {
			if l != nil || err == nil || err.Error() != test.want {
				t.Errorf("Leaders: %v, %v", l, err)
			}
		}
		for _, err := range []error{campaign, run, leader, candidates} {
			if err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		}
	}
	if err := RequestTransfer(ctx, s, "a", ""); !errors.Is(err, ErrUnknownCandidate) {
		t.Errorf("RequestTransfer to nobody: %v", err)
	}
	if e := New(s, "a"); e.Term() != nil || e.IsLeader() {
		t.Error("somebody leads who never campaigned")
	}
}

func TestAValueOfNothingIsTheDefault(t *testing.T) {
	t.Parallel()
	s := offline()
	if a, b := New(s, "a", WithValue("")).opts.value, New(s, "a").opts.value; a != b || !strings.Contains(a, "/") {
		t.Errorf("values %q and %q", a, b)
	}
}

// A check that hangs is a bad answer, never runs twice at a time, and is waited for.
func TestHealthCheckThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		hangs := make(chan time.Duration, 10)
		h := newHealth(func(context.Context) error {
			if running.Add(1) > 1 {
				t.Error("two checks at a time")
			}
			defer running.Add(-1)
			time.Sleep(<-hangs)
			return nil
		})
		hangs <- time.Minute
		for range 2 { // the second waits for the check of the first
			start := time.Now()
			if err := h.ask(t.Context()); !errors.Is(err, errNoAnswer) || time.Since(start) != patience {
				t.Errorf("a check that hangs: %v after %v", err, time.Since(start))
			}
		}
		time.Sleep(time.Minute)
		hangs <- time.Second
		if err := h.ask(t.Context()); err != nil {
			t.Errorf("a check that does not hang: %v", err)
		}
		hangs <- time.Minute
		_ = h.ask(t.Context())
		h.close()
		if running.Load() != 0 {
			t.Error("close did not wait")
		}
	})
}

func TestHealthCheckSeesTheEndOfItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		because := errors.New("because")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(because) })
		if err := h.ask(ctx); !errors.Is(err, because) && !errors.Is(err, context.Canceled) {
			t.Errorf("ask = %v", err)
		}
		h.close()
		var none *health
		none.close()
	})
}
