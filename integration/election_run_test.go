package integration

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"etcdkit/election"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

var errOfFunction = errors.New("what the function returned")

// running is a Run whose function tells of each term, and returns what it is told to, or when its context ends.
type running struct {
	t      *testing.T
	e      *election.Election
	began  chan *election.Term
	finish chan error // for the function to return
	ended  chan error // what Run returned
	cancel context.CancelFunc
}

func startRun(t *testing.T, e *election.Election) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	r := &running{
		t: t, e: e, cancel: cancel,
		began: make(chan *election.Term, 100), finish: make(chan error), ended: make(chan error, 1),
	}
	go func() { r.ended <- e.Run(ctx, r.lead) }()
	t.Cleanup(cancel)
	return r
}

func (r *running) lead(ctx context.Context, term *election.Term) error {
	r.began <- term
	select {
	case err := <-r.finish:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *running) next() *election.Term {
	r.t.Helper()
	select {
	case term := <-r.began:
		return term
	case err := <-r.ended:
		r.t.Fatalf("Run = %v", err)
	case <-time.After(patience):
		r.t.Fatal("nobody leads")
	}
	return nil
}

func (r *running) returned() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.t.Fatal("Run does not return")
		return nil
	}
}

func TestRunReturnsWhatItsFunctionReturned(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	e := election.New(open(t, client, cluster.Prefix(t)), "x")
	for _, want := range []error{nil, errOfFunction} {
		r := startRun(t, e)
		term := r.next()
		if e.Term() != term {
			t.Error("it does not lead while its function runs")
		}
		r.finish <- want
		if err := r.returned(); !errors.Is(err, want) {
			t.Errorf("Run = %v, want %v", err, want)
		}
		if ks := keys(t, client, e.Key()); len(ks) > 0 || e.IsLeader() {
			t.Errorf("keys left: %v, leader %v", ks, e.IsLeader())
		}
	}
}

func TestRunResignsWhenItsFunctionPanics(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	e := election.New(open(t, client, cluster.Prefix(t)), "x", election.WithRestart(func(error) bool { return true }))
	func() {
		defer func() {
			if got := recover(); got != "oh" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = e.Run(soon(t), func(context.Context, *election.Term) error { panic("oh") })
		t.Error("Run returned")
	}()
	if ks := keys(t, client, e.Key()); len(ks) > 0 {
		t.Errorf("keys left: %v", ks)
	}
}

func TestRunGoesOnWhereItIsToldTo(t *testing.T) {
	t.Parallel()
	terms := 0
	e := election.New(open(t, cluster.Shared(t), cluster.Prefix(t)), "x", election.WithRestart(func(err error) bool {
		if !errors.Is(err, errOfFunction) {
			t.Errorf("asked about %v", err)
		}
		return terms < 3
	}))
	var last session.Token
	err := e.Run(soon(t), func(_ context.Context, term *election.Term) error {
		if terms++; term.Token() <= last {
			t.Errorf("token %d after %d", term.Token(), last)
		}
		last = term.Token()
		return errOfFunction
	})
	if !errors.Is(err, errOfFunction) || terms != 3 {
		t.Errorf("Run = %v after %d terms", err, terms)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	first := startRun(t, election.New(open(t, client, prefix), "x"))
	first.next()
	e := election.New(open(t, client, prefix), "x")
	second := startRun(t, e)
	eventually(t, "both stand in line", func() bool { l, _ := e.Candidates(soon(t)); return len(l) == 2 })
	second.cancel()
	if err := second.returned(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run of who waits = %v", err)
	}
	first.cancel()
	if err := first.returned(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run of who leads = %v", err)
	}
	awaitNoKeys(t, client, e.Key())
}

// Whoever ends a term from outside waits for the function, and nobody else leads before.
func TestNobodyLeadsBeforeTheFunctionHasReturned(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	operator := open(t, cluster.Shared(t), prefix)
	tests := map[string]func(ctx context.Context, term *election.Term) error{
		"resign":   func(ctx context.Context, term *election.Term) error { return term.Resign(ctx) },
		"transfer": func(ctx context.Context, term *election.Term) error { return term.Transfer(ctx, "other") },
		"request to resign": func(ctx context.Context, _ *election.Term) error {
			return election.RequestResign(ctx, operator, "request to resign")
		},
		"request to transfer": func(ctx context.Context, _ *election.Term) error {
			return election.RequestTransfer(ctx, operator, "request to transfer", "other")
		},
	}
	for name, leave := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := election.New(open(t, cluster.Shared(t), prefix), name)
			began, stubborn := make(chan *election.Term, 10), make(chan struct{})
			var inside atomic.Bool
			ctx, cancel := context.WithCancel(soon(t))
			ended := make(chan error, 1)
			go func() {
				ended <- e.Run(ctx, func(ctx context.Context, term *election.Term) error {
					inside.Store(true)
					defer inside.Store(false)
					began <- term
					<-ctx.Done()
					<-stubborn
					return nil
				})
			}()
			term := <-began
			other := campaigning(t, election.New(open(t, cluster.Shared(t), prefix), name, election.WithValue("other")))
			left := make(chan error, 1)
			go func() { left <- leave(soon(t), term) }()
			done(t, "the end of the term", term.Context().Done())
			select {
			case <-other:
				t.Error("another one leads, and the function has not returned")
			case err := <-left:
				t.Errorf("it was left, and the function has not returned: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			close(stubborn)
			must(t, <-left)
			next := <-other
			if inside.Load() && term.Token() > next.Token() {
				t.Error("the function has not returned")
			}
			must(t, next.Resign(soon(t)))
			<-began // and Run campaigns again
			cancel()
			must(t, <-ended)
		})
	}
}

// A resignation from within cannot wait for the function, which would wait for itself.
func TestResigningFromWithinTheFunction(t *testing.T) {
	t.Parallel()
	e := election.New(open(t, cluster.Shared(t), cluster.Prefix(t)), "x")
	ctx, cancel := context.WithCancel(soon(t))
	terms := 0
	err := e.Run(ctx, func(inner context.Context, term *election.Term) error {
		terms++
		switch terms {
		case 1:
			must(t, term.Resign(inner))
		case 2:
			must(t, term.Resign(context.WithoutCancel(term.Context())))
		case 3:
			if err := term.Transfer(inner, "nobody"); !errors.Is(err, election.ErrUnknownCandidate) || term.Err() != nil {
				t.Errorf("Transfer = %v, %v", err, term.Err())
			}
			cancel()
		}
		if term.Err() == nil && terms < 3 || !e.IsLeader() && terms == 3 {
			t.Errorf("term %d: %v", terms, term.Err())
		}
		return errOfFunction
	})
	if terms != 3 || !errors.Is(err, errOfFunction) {
		t.Errorf("Run = %v after %d terms", err, terms)
	}
}

func TestRunEndsWithItsSession(t *testing.T) {
	t.Parallel()
	s := open(t, cluster.Shared(t), cluster.Prefix(t))
	r := startRun(t, election.New(s, "x"))
	term := r.next()
	must(t, s.Close(soon(t)))
	if err := r.returned(); !errors.Is(err, session.ErrClosed) || !errors.Is(term.Err(), session.ErrClosed) {
		t.Errorf("Run = %v, term %v", err, term.Err())
	}
}

// An unhealthy leader lets another one lead, and stands again when it is well.
func TestRunWithHealth(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	var sick atomic.Bool
	sick.Store(true)
	asked := make(chan struct{}, 1000)
	e := election.New(open(t, cluster.Shared(t), prefix), "x", election.WithHealth(func(context.Context) error {
		asked <- struct{}{}
		if sick.Load() {
			return errors.New("the disk is full")
		}
		return nil
	}))
	r := startRun(t, e)
	<-asked
	<-asked
	if l, err := e.Candidates(soon(t)); err != nil || len(l) != 0 {
		t.Errorf("who is not healthy stands: %v, %v", l, err)
	}
	sick.Store(false)
	term := r.next()
	other := campaigning(t, election.New(open(t, cluster.Shared(t), prefix), "x"))
	sick.Store(true)
	next := <-other
	if cause := context.Cause(term.Context()); !errors.Is(cause, election.ErrUnhealthy) || cause.Error() != "not healthy: the disk is full" {
		t.Errorf("the term ended with %v", cause)
	}
	sick.Store(false)
	must(t, next.Resign(soon(t)))
	r.next()
	r.cancel()
	if err := r.returned(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}

	sick.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := e.Run(ctx, func(context.Context, *election.Term) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, election.ErrUnhealthy) {
		t.Errorf("Run of who is never healthy = %v", err)
	}
}

// A function that resigns with another context than its own would wait for itself: it goes on when a lease would be over.
func TestElectionResignsItselfWithAnotherContext(t *testing.T) {
	t.Parallel()
	e := election.New(open(t, cluster.Shared(t), cluster.Prefix(t), session.WithTTL(2*time.Second)), "x")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := e.Run(ctx, func(_ context.Context, term *election.Term) error {
		defer cancel()
		return term.Resign(context.Background())
	})
	if err != nil {
		t.Errorf("Run = %v", err)
	}
}
