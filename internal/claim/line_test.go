package claim

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
)

// newLine returns a line of a hub that has no etcd: its queue alone is of interest.
func lineOf() (*hub.Hub, *Line) {
	h := hub.New(hub.Config{
		Client: clientv3.NewCtxClient(context.Background()),
		Log:    slog.New(slog.DiscardHandler),
		Hooks:  hub.Hooks{Queued: func(string) {}, Retried: func(string, error) {}},
	})
	return h, open(h, "line/")
}

// in starts callers that enter one after the other, and returns what they say when they are the front.
func in(t *testing.T, l *Line, n int) []chan turn {
	t.Helper()
	fronts := make([]chan turn, n)
	for i := range fronts {
		fronts[i] = make(chan turn, 1)
		go func() {
			tn, err := l.enter(t.Context(), Claim{}.filled(), nil, nil)
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			fronts[i] <- tn
		}()
		synctest.Wait()
	}
	return fronts
}

func TestTheFrontIsPassedOnInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, l := lineOf()
		if tn, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); err != nil || tn != (turn{}) {
			t.Fatalf("the first: %v, %v", tn, err)
		}
		en := &entry{key: "line/a"}
		pass := turn{entry: en}
		for i, front := range in(t, l, 5) {
			select {
			case <-front:
				t.Fatalf("caller %d was let in beside the front", i)
			default:
			}
			l.pass(pass)
			if got := <-front; got.entry != en {
				t.Errorf("caller %d got %v", i, got)
			}
		}
		l.pass(turn{})
		if l.busy || l.parked != nil {
			t.Errorf("busy %v, parked %v after the last", l.busy, l.parked)
		}
	})
}

func TestACallerWhoGivesUpIsSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, l := lineOf()
		if _, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); err != nil {
			t.Fatal(err)
		}
		because := errors.New("because")
		ctx, cancel := context.WithCancelCause(t.Context())
		gaveUp := make(chan error, 1)
		go func() { _, err := l.enter(ctx, Claim{}.filled(), nil, nil); gaveUp <- err }()
		synctest.Wait()
		front := in(t, l, 1)[0]
		cancel(because)
		if err := <-gaveUp; !errors.Is(err, because) {
			t.Errorf("enter = %v", err)
		}
		l.pass(turn{})
		<-front
	})
}

// The turn and the end of the context come at once: the turn must not be lost.
func TestTheTurnOfACallerWhoGivesUpGoesOn(t *testing.T) {
	t.Parallel()
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			_, l := lineOf()
			if _, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			first := make(chan bool, 1)
			go func() {
				_, err := l.enter(ctx, Claim{}.filled(), nil, nil)
				if err == nil {
					l.pass(turn{})
				}
				first <- true
			}()
			synctest.Wait()
			second := in(t, l, 1)[0]
			go cancel()
			go l.pass(turn{})
			<-first
			<-second
		})
	}
}

// A front that leaves something behind, with nobody to take it, leaves it to the janitor; who comes in a pause of the janitor gets it.
func TestTheJanitorPausesForCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, l := lineOf()
		if _, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); err != nil {
			t.Fatal(err)
		}
		// Without a connection no request can succeed, so the janitor would try for ever; keep it from starting one.
		l.cleaning = true
		d := &debt{slot: "line/a"}
		l.pass(turn{debt: d})
		if l.busy || l.parked == nil {
			t.Fatalf("busy %v, parked %v", l.busy, l.parked)
		}
		if tn, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); err != nil || tn.debt != d {
			t.Errorf("the caller got %v, %v", tn, err)
		}
		open(h, "line/") // what the clean-up would have
		if err := l.clean(t.Context()); err != nil || l.cleaning {
			t.Errorf("clean = %v while a caller is the front", err)
		}
	})
}

func TestAClosedHubEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, l := lineOf()
		if _, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); err != nil {
			t.Fatal(err)
		}
		over := errors.New("over")
		ended := make(chan error, 1)
		go func() { _, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); ended <- err }()
		synctest.Wait()
		if err := h.Close(t.Context(), over); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, over) {
			t.Errorf("enter = %v", err)
		}
	})
}

// epoch is a lease for names.
type epoch clientv3.LeaseID

func (e epoch) ID() clientv3.LeaseID     { return clientv3.LeaseID(e) }
func (epoch) Context() context.Context   { return context.Background() }
func (epoch) Err() error                 { return nil }
func (epoch) Deadline() (zero time.Time) { return zero }

func TestSlotsAreFewAndReused(t *testing.T) {
	t.Parallel()
	_, l := lineOf()
	e := epoch(0xabc)
	if got := l.slot(e, Claim{}.filled(), ""); got != "line/abc" {
		t.Errorf("first slot %q", got)
	}
	if got := l.slot(e, Claim{}.filled(), "line/abc"); got != "line/abc-1" {
		t.Errorf("the other slot %q", got)
	}
	if got := l.slot(e, Claim{}.filled(), "line/abc-1"); got != "line/abc" {
		t.Errorf("back to %q", got)
	}
	l.avoid("line/abc")
	if got := l.slot(e, Claim{}.filled(), "line/abc-1"); got != "line/abc-2" {
		t.Errorf("beside a foreign key %q", got)
	}
}

func TestHoldContextHasValuesAndNotTheEnd(t *testing.T) {
	t.Parallel()
	type key struct{}
	caller, cancelCaller := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	life, end := context.WithCancelCause(context.Background())
	ctx := holdContext{life, caller}
	cancelCaller()
	if ctx.Err() != nil || ctx.Value(key{}) != "value" {
		t.Errorf("Err %v, value %v", ctx.Err(), ctx.Value(key{}))
	}
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	over := errors.New("over")
	end(over)
	if child.Err() == nil || !errors.Is(context.Cause(child), over) || !errors.Is(context.Cause(ctx), over) {
		t.Errorf("the child ended with %v, the hold's context with %v", context.Cause(child), context.Cause(ctx))
	}
}
