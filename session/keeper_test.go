package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// line is the far end of a wire that a test scripts: how long an answer takes, and what it is.
type line struct {
	mu     sync.Mutex // protects what follows
	ttl    time.Duration
	next   clientv3.LeaseID
	answer func(ctx context.Context, sent time.Duration) error // of a renewal, sent so long after the start; nil: at once
	grant  func(ctx context.Context) error

	begun    time.Time
	renewals []time.Duration
	granted  int
	revoked  clientv3.LeaseID
	dropped  []clientv3.LeaseID
}

func newLine(ttl time.Duration) *line { return &line{ttl: ttl, begun: time.Now()} }

func (l *line) wire() wire {
	return wire{
		grant: func(ctx context.Context) (granted, error) {
			l.mu.Lock()
			l.granted++
			l.next++
			id, grant := l.next, l.grant
			l.mu.Unlock()
			g := granted{id: id, ttl: l.ttl, sent: now()}
			if grant != nil {
				if err := grant(ctx); err != nil {
					return g, err
				}
			}
			return g, nil
		},
		renew: func(ctx context.Context, id clientv3.LeaseID) (time.Duration, error) {
			l.mu.Lock()
			if id == l.revoked {
				l.mu.Unlock()
				return 0, rpctypes.ErrLeaseNotFound
			}
			sent := time.Since(l.begun)
			l.renewals = append(l.renewals, sent)
			answer := l.answer
			l.mu.Unlock()
			if answer != nil {
				if err := answer(ctx, sent); err != nil {
					return 0, err
				}
			}
			return l.ttl, nil
		},
		drop: func(_ context.Context, id clientv3.LeaseID) {
			l.mu.Lock()
			l.dropped = append(l.dropped, id)
			l.mu.Unlock()
		},
		gone:   func(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) },
		denied: isDenied,
	}
}

func (l *line) set(answer func(context.Context, time.Duration) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

func (l *line) grants() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.granted
}

// revoke makes a lease unknown, for good.
func (l *line) revoke(id clientv3.LeaseID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revoked = id
}

// setGrant changes how grants are answered.
func (l *line) setGrant(grant func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant = grant
}

// takes is an answer that arrives after d, or not at all if the caller gives up first.
func takes(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// never is an answer that does not come.
func never(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// keep runs a keeper on the line in a bubble of fake time.
func keep(t *testing.T, l func() *line, f func(t *testing.T, k *keeper, l *line)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := l()
		k := newKeeper(l.wire(), allowance{rate: defaultRate}, Trace{}.filled())
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.run(ctx) }()
		f(t, k, l)
		cancel(ErrClosed)
		<-done
	})
}

func tenSeconds() *line { return newLine(10 * time.Second) }

func mustWait(t *testing.T, k *keeper) *Lease {
	t.Helper()
	l, err := k.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func lostFor(t *testing.T, l *Lease, want Reason) *LostError {
	t.Helper()
	var lost *LostError
	if err := context.Cause(l.ctx); !errors.As(err, &lost) || lost.Reason != want {
		t.Fatalf("the epoch ended with %v, want %q", err, want)
	}
	if !errors.Is(lost, ErrLost) {
		t.Errorf("%v does not unwrap to ErrLost", lost)
	}
	return lost
}

func TestNothingIsGrantedBeforeItIsNeeded(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		time.Sleep(time.Hour)
		if l.grants() != 0 {
			t.Errorf("%d grants, and nobody asked", l.grants())
		}
		first, second := mustWait(t, k), mustWait(t, k)
		if first != second || l.grants() != 1 {
			t.Errorf("two calls got %p and %p in %d grants, want one lease", first, second, l.grants())
		}
	})
}

func TestRenewsAtAThirdOfTheTTL(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		time.Sleep(time.Hour)
		if lease.Err() != nil {
			t.Fatalf("the epoch ended: %v", context.Cause(lease.ctx))
		}
		if k.margin() < 5*time.Second {
			t.Errorf("margin %v", k.margin())
		}
		last := time.Duration(0)
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, at := range l.renewals {
			if gap := at - last; gap < 3*time.Second || gap > 3334*time.Millisecond {
				t.Fatalf("a renewal came %v after the one before", gap)
			}
			last = at
		}
	})
}

// The last acknowledged request is the grant, sent at zero: the epoch ends 9 s later, to the nanosecond, whenever renewals were sent.
func TestLostAnswersEndTheEpochAtItsDeadline(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		l.set(never)
		lease := mustWait(t, k)
		<-lease.ctx.Done()
		if at := time.Since(l.begun); at != 9*time.Second {
			t.Errorf("the epoch ended after %v, want 9s", at)
		}
		_ = lostFor(t, lease, Expired)
		if k.margin() != 0 || k.health() == nil {
			t.Errorf("margin %v, health %v after the loss", k.margin(), k.health())
		}
	})
}

// An answer that takes 3 s extends by the time it was sent, not by the time it came.
func TestLateAnswersCountFromTheirSending(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		var answered time.Duration
		l.set(func(ctx context.Context, sent time.Duration) error {
			if answered != 0 {
				return never(ctx, sent)
			}
			answered = sent
			return takes(ctx, 3*time.Second)
		})
		<-lease.ctx.Done()
		if at := time.Since(l.begun); at != answered+9*time.Second {
			t.Errorf("the epoch ended at %v, the answered renewal was sent at %v", at, answered)
		}
	})
}

func TestSlowAnswersKeepTheLease(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		l.set(func(ctx context.Context, _ time.Duration) error { return takes(ctx, 3*time.Second) })
		time.Sleep(time.Hour)
		if lease.Err() != nil {
			t.Errorf("answers that take less than a third of the TTL lost the lease: %v", context.Cause(lease.ctx))
		}
	})
}

func TestRevoked(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		l.revoke(lease.id)
		<-lease.ctx.Done()
		_ = lostFor(t, lease, Revoked)
		if at := time.Since(l.begun); at > 3334*time.Millisecond {
			t.Errorf("noticed at %v, want at the next renewal", at)
		}
		synctest.Wait()
		if err := k.health(); err != nil {
			t.Errorf("health %v: there is no new lease", err)
		}
		if next := mustWait(t, k); next.id == lease.id || l.grants() != 2 {
			t.Errorf("the next epoch is on lease %d after %d, in %d grants", next.id, lease.id, l.grants())
		}
	})
}

func TestRefusedRenewalsAreTriedUntilTheDeadline(t *testing.T) {
	t.Parallel()
	t.Run("and are the reason then", func(t *testing.T) {
		t.Parallel()
		keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
			l.set(func(context.Context, time.Duration) error { return rpctypes.ErrPermissionDenied })
			lease := mustWait(t, k)
			<-lease.ctx.Done()
			if at := time.Since(l.begun); at != 9*time.Second {
				t.Errorf("lost at %v, want at the deadline", at)
			}
			if lost := lostFor(t, lease, Permission); !errors.Is(lost, rpctypes.ErrPermissionDenied) {
				t.Errorf("%v does not name what etcd said", lost)
			}
		})
	})
	t.Run("and cost nothing when the right comes back", func(t *testing.T) {
		t.Parallel()
		keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
			l.set(func(_ context.Context, sent time.Duration) error {
				if sent < 8*time.Second {
					return rpctypes.ErrPermissionDenied
				}
				return nil
			})
			lease := mustWait(t, k)
			time.Sleep(time.Minute)
			if lease.Err() != nil {
				t.Errorf("lost: %v", context.Cause(lease.ctx))
			}
		})
	})
}

// After an outage the lease may be alive: a new epoch begins on it, from a question that was sent after the end.
func TestAnOutageEndsAnEpochAndNotTheLease(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		l.set(never)
		<-lease.ctx.Done()
		ended := time.Since(l.begun)
		time.Sleep(20 * time.Second)
		l.set(nil)
		next := mustWait(t, k)
		if next == lease || next.id != lease.id || l.grants() != 1 {
			t.Fatalf("after the outage: epoch %p on lease %d, %d grants; before %p on %d", next, next.id, l.grants(), lease, lease.id)
		}
		if sent := next.win.sent.elapsed(now()); time.Since(l.begun)-sent < ended {
			t.Errorf("the new epoch counts from a renewal that was sent before the old one ended")
		}
		if lease.Err() == nil {
			t.Error("the old epoch was revived")
		}
	})
}

// A renewal that is answered after the deadline belongs to the past: it revives nothing.
func TestALateAnswerRevivesNothing(t *testing.T) {
	t.Parallel()
	at := now()
	l := newLease(1, 10*time.Second, window{sent: instant{at.mono - 9*time.Second, at.wall.Add(-9 * time.Second)}, span: 9 * time.Second}, nil, allowance{})
	l.renewed(now(), 10*time.Second)
	if l.left() > 0 {
		t.Errorf("a late answer left %v", l.left())
	}
	if l.Err() == nil {
		t.Error("Err is nil past the deadline, with no timer run")
	}
}

func TestNoLeaseByTheEndOfTheContext(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		l.setGrant(func(context.Context) error { return rpctypes.ErrNoLeader })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := k.wait(ctx)
		if took := time.Since(l.begun); took != time.Minute {
			t.Errorf("wait returned after %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, rpctypes.ErrNoLeader) {
			t.Errorf("wait = %v, want both why it ended and what was in the way", err)
		}
		if k.health() == nil {
			t.Error("healthy without a lease")
		}
		l.setGrant(nil) // etcd is back: a probe must see that, though nobody asks for the lease
		time.Sleep(2 * time.Second)
		if err := k.health(); err != nil || k.margin() == 0 {
			t.Errorf("health %v, margin %v after etcd came back", err, k.margin())
		}
	})
}

func TestARefusalIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrNoSpace} {
		keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
			l.setGrant(func(context.Context) error { return refusal })
			var callers sync.WaitGroup
			for range 3 {
				callers.Go(func() {
					if _, err := k.wait(t.Context()); !errors.Is(err, refusal) {
						t.Errorf("wait = %v, want %v", err, refusal)
					}
				})
			}
			callers.Wait()
			if took := time.Since(l.begun); took != 0 {
				t.Errorf("%v was told after %v", refusal, took)
			}
			before := l.grants()
			time.Sleep(time.Hour)
			if n := l.grants() - before; n > 0 {
				t.Errorf("%d leases were asked for with nobody waiting", n)
			}
		})
	}
}

func TestEndIsToldToThoseWhoWait(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		l.setGrant(func(ctx context.Context) error { return never(ctx, 0) })
		time.AfterFunc(time.Second, func() { k.end(ErrClosed) })
		if _, err := k.wait(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("wait = %v, want ErrClosed", err)
		}
		if _, err := k.wait(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("a later wait = %v, want ErrClosed", err)
		}
	})
}

// A grant that is answered while the session closes leaves no lease behind.
func TestAGrantDuringTheEndIsGivenBack(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		l.setGrant(func(ctx context.Context) error { return takes(ctx, 2*time.Second) })
		time.AfterFunc(time.Second, func() { k.end(ErrClosed) })
		if _, err := k.wait(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("wait = %v", err)
		}
		time.Sleep(2 * time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.dropped) != 1 {
			t.Errorf("dropped %v, want the one lease", l.dropped)
		}
	})
}

func TestCloseEndsTheEpochWithItsCause(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		id, deadline := k.end(ErrClosed)
		if id != lease.id || time.Until(deadline) != 9*time.Second {
			t.Errorf("end returned lease %d and %v", id, time.Until(deadline))
		}
		if !errors.Is(context.Cause(lease.ctx), ErrClosed) {
			t.Errorf("the epoch ended with %v", context.Cause(lease.ctx))
		}
		time.Sleep(time.Hour)
		if n := l.grants(); n != 1 {
			t.Errorf("%d leases were asked for, one of them after the end", n)
		}
	})
}

// A lease that is gone, with the right to have another, is replaced slowly once the right is back, with nobody waiting.
func TestARightThatComesBack(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		l.setGrant(func(context.Context) error { return rpctypes.ErrPermissionDenied })
		l.revoke(lease.id)
		<-lease.ctx.Done()
		before := l.grants()
		time.Sleep(time.Minute)
		if n := l.grants() - before; n < 5 || n > 7 {
			t.Errorf("%d leases were asked for in a minute", n)
		}
		l.setGrant(nil)
		time.Sleep(refusedPause + time.Second)
		if err := k.health(); err != nil {
			t.Error(err)
		}
	})
}

// The answers of an older raft term prolong nothing: the epoch ends at its deadline, the lease is given up, and another one is trusted.
func TestOldTermsGiveTheLeaseUp(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		l.set(func(context.Context, time.Duration) error { return errOldTerm })
		<-lease.ctx.Done()
		if at := time.Since(l.begun); at != 9*time.Second {
			t.Errorf("the epoch ended after %v", at)
		}
		l.set(nil)
		time.Sleep(time.Second)
		if next := mustWait(t, k); next.id == lease.id && len(l.dropped) == 0 {
			t.Log("the term was right again before the question")
		}
	})
}

// A suspicion makes the keeper ask at once.
func TestDoubtAsksAtOnce(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		l.revoke(lease.id)
		k.doubt()
		<-lease.ctx.Done()
		if at := time.Since(l.begun); at != 0 {
			t.Errorf("noticed after %v", at)
		}
	})
}
