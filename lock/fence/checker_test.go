package fence_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"etcdkit/lock/fence"
	"etcdkit/session"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	var c fence.Checker
	for i, step := range []struct {
		token, highest session.Token // highest: as told by the refusal
		stale          bool
		text           string
	}{
		{token: 0, stale: true, text: "stale token 0: no lock gives such a token"},
		{token: -7, stale: true, text: "stale token -7: no lock gives such a token"},
		{token: 5},
		{token: 5},
		{token: 4, highest: 5, stale: true, text: "stale token 4: 5 was seen before"},
		{token: 5},
		{token: 9},
		{token: 5, highest: 9, stale: true, text: "stale token 5: 9 was seen before"},
		{token: 0, highest: 9, stale: true, text: "stale token 0: 9 was seen before"},
		{token: 1 << 62},
		{token: 9, highest: 1 << 62, stale: true, text: "stale token 9: 4611686018427387904 was seen before"},
	} {
		err := c.Check(step.token)
		if !step.stale {
			if err != nil {
				t.Errorf("step %d: Check(%d) = %v, want nil", i, step.token, err)
			}
			continue
		}
		var stale *fence.StaleError
		if !errors.As(err, &stale) || *stale != (fence.StaleError{Token: step.token, Highest: step.highest}) {
			t.Errorf("step %d: Check(%d) = %v, want a *StaleError with the highest %d", i, step.token, err, step.highest)
		}
		if !errors.Is(err, fence.ErrStale) || err.Error() != step.text {
			t.Errorf("step %d: Check(%d) = %v, want ErrStale with the text %q", i, step.token, err, step.text)
		}
	}
}

// Of many goroutines that show different tokens, those let through saw only lower ones before them, and the highest gets through.
func TestCheckConcurrently(t *testing.T) {
	t.Parallel()
	const goroutines, tokens = 8, 2000
	var (
		c       fence.Checker
		mu      sync.Mutex // the critical section of the resource; protects written
		written []session.Token
		next    atomic.Int64
		wg      sync.WaitGroup
	)
	for range goroutines {
		wg.Go(func() {
			for {
				token := session.Token(next.Add(1))
				if token > tokens {
					return
				}
				mu.Lock()
				if c.Check(token) == nil {
					written = append(written, token)
				}
				mu.Unlock()
			}
		})
		wg.Go(func() { // and some that do not take part in the critical section
			for range tokens {
				_ = c.Check(1)
			}
		})
	}
	wg.Wait()
	for i := 1; i < len(written); i++ {
		if written[i] <= written[i-1] {
			t.Fatalf("token %d was let through after %d", written[i], written[i-1])
		}
	}
	if last := written[len(written)-1]; last != tokens {
		t.Errorf("the last token let through is %d, want %d", last, tokens)
	}
}
