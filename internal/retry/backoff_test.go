package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"etcdkit/internal/retry"
)

// pauses returns how long each of n waits took.
func pauses(t *testing.T, b *retry.Backoff, n int) []time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		start := time.Now()
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	return took
}

func TestBackoffGrowsToItsMaximum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			name    string
			backoff retry.Backoff
			want    []time.Duration // the longest that each pause can be
		}{
			{"zero value", retry.Backoff{}, ms(25, 50, 100, 200, 400, 800, 1000, 1000)},
			{"own bounds", retry.Backoff{Min: 10 * time.Millisecond, Max: 35 * time.Millisecond}, ms(10, 20, 35, 35)},
			{"constant", retry.Backoff{Min: 10 * time.Millisecond, Max: 10 * time.Millisecond}, ms(10, 10, 10)},
			{"maximum below the minimum", retry.Backoff{Min: 2 * time.Second}, ms(2000, 2000)},
			{"tiny", retry.Backoff{Min: 1, Max: 1}, []time.Duration{1, 1}},
		}
		for _, test := range tests {
			for i, got := range pauses(t, &test.backoff, len(test.want)) {
				if got < test.want[i]/2 || got > test.want[i] {
					t.Errorf("%s: pause %d took %v, want between half of %v and %v", test.name, i, got, test.want[i], test.want[i])
				}
			}
		}
	})
}

func ms(ns ...int) []time.Duration {
	var ds []time.Duration
	for _, n := range ns {
		ds = append(ds, time.Duration(n)*time.Millisecond)
	}
	return ds
}

func TestBackoffResets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b retry.Backoff
		pauses(t, &b, 10)
		b.Reset()
		if got := pauses(t, &b, 1)[0]; got > 25*time.Millisecond {
			t.Errorf("the first pause after Reset took %v", got)
		}
	})
}

func TestBackoffSpreads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 20 {
			b := retry.Backoff{Min: time.Second, Max: time.Second}
			seen[pauses(t, &b, 1)[0]] = true
		}
		if len(seen) < 10 {
			t.Errorf("20 pauses had only %d lengths", len(seen))
		}
	})
}

func TestBackoffObeysContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		because := errors.New("because")
		ctx, cancel := context.WithCancelCause(t.Context())
		b := retry.Backoff{Min: time.Hour, Max: time.Hour}
		time.AfterFunc(time.Second, func() { cancel(because) })
		start := time.Now()
		if err := b.Wait(ctx); !errors.Is(err, because) {
			t.Errorf("Wait = %v, want the cause", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Wait returned after %v, though its context ended after 1s", took)
		}
		start = time.Now()
		if err := b.Wait(ctx); !errors.Is(err, because) || time.Since(start) != 0 {
			t.Errorf("Wait under an ended context = %v after %v", err, time.Since(start))
		}
	})
}
