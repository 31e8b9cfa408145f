package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/election"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// mustCampaign campaigns and wins.
func mustCampaign(t *testing.T, e *election.Election) *election.Term {
	t.Helper()
	term, err := e.Campaign(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return term
}

// campaigning starts a campaign, and returns when it stands in line, or has won.
func campaigning(t *testing.T, e *election.Election) <-chan *election.Term {
	t.Helper()
	before, err := e.Candidates(soon(t))
	must(t, err)
	won := make(chan *election.Term, 1)
	go func() {
		if term, err := e.Campaign(soon(t)); err == nil {
			won <- term
		}
	}()
	eventually(t, "the candidate stands in line", func() bool {
		now, err := e.Candidates(soon(t))
		return len(won) > 0 || err == nil && len(now) == len(before)+1
	})
	return won
}

func TestElectionBasics(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	a := election.New(open(t, cluster.Shared(t), prefix), "x", election.WithValue("a"))
	if _, err := a.Leader(soon(t)); !errors.Is(err, election.ErrNoLeader) {
		t.Errorf("Leader of nobody: %v", err)
	}
	term := mustCampaign(t, a)
	if !a.IsLeader() || a.Term() != term || term.Err() != nil {
		t.Errorf("IsLeader %v, Term %v, Err %v", a.IsLeader(), a.Term(), term.Err())
	}
	b := election.New(open(t, cluster.Shared(t), prefix), "x", election.WithValue("b"))
	won := campaigning(t, b)
	l, err := b.Leader(soon(t))
	must(t, err)
	if l.Value != "a" || l.Token != term.Token() || l.PID == 0 {
		t.Errorf("Leader = %+v", l)
	}
	must(t, term.Proclaim(soon(t), "a2"))
	if l, _ = b.Leader(soon(t)); l.Value != "a2" || l.Token != term.Token() {
		t.Errorf("after Proclaim: %+v", l)
	}
	must(t, term.Resign(soon(t)))
	must(t, term.Resign(soon(t)))
	if !errors.Is(context.Cause(term.Context()), session.ErrReleased) || a.IsLeader() {
		t.Errorf("after Resign: %v, leader %v", context.Cause(term.Context()), a.IsLeader())
	}
	next := <-won
	if next.Token() <= term.Token() {
		t.Errorf("token %d after %d", next.Token(), term.Token())
	}
	must(t, next.Resign(soon(t)))
}

// guardHolds tells whether a write under the term's guard happens.
func guardHolds(t *testing.T, client *clientv3.Client, term *election.Term) bool {
	t.Helper()
	resp, err := client.Txn(soon(t)).If(term.Guard()).Then(clientv3.OpPut("guarded/"+t.Name(), "")).Commit()
	must(t, err)
	return resp.Succeeded
}

func TestElectionTransfer(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	s := open(t, cluster.Shared(t), prefix)
	term := mustCampaign(t, election.New(s, "x", election.WithValue("a")))
	var won []<-chan *election.Term
	for i := range 3 {
		won = append(won, campaigning(t, election.New(s, "x", election.WithValue(fmt.Sprint("c", i)))))
	}
	if err := term.Transfer(soon(t), "nobody"); !errors.Is(err, election.ErrUnknownCandidate) || term.Err() != nil {
		t.Fatalf("Transfer to nobody: %v, term %v", err, term.Err())
	}
	must(t, term.Transfer(soon(t), "c2"))
	next := <-won[2]
	if next.Token() <= term.Token() || guardHolds(t, cluster.Shared(t), term) || !guardHolds(t, cluster.Shared(t), next) {
		t.Errorf("token %d after %d, or a guard is wrong", next.Token(), term.Token())
	}
	// Those who were passed over stand in line again.
	eventually(t, "the others queue again", func() bool {
		list, err := election.New(s, "x").Candidates(soon(t))
		return err == nil && len(list) == 3
	})
	must(t, next.Resign(soon(t)))
	select {
	case term = <-won[0]:
	case term = <-won[1]:
	}
	must(t, term.Resign(soon(t)))
}

// A candidate of etcd's own package would not notice that its key is gone.
func TestElectionTransferPastAForeignCandidate(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	s := open(t, cluster.Shared(t), prefix)
	term := mustCampaign(t, election.New(s, "x"))
	theirs := election.New(s, "x")
	foreign, err := concurrency.NewSession(cluster.Shared(t))
	must(t, err)
	defer func() { _ = foreign.Close() }()
	go func() { _ = concurrency.NewElection(foreign, theirs.Key()).Campaign(soon(t), "foreign") }()
	eventually(t, "the foreign one stands in line", func() bool { l, _ := theirs.Candidates(soon(t)); return len(l) == 2 })
	won := campaigning(t, election.New(s, "x", election.WithValue("behind")))
	if err := term.Transfer(soon(t), "behind"); !errors.Is(err, election.ErrForeignAhead) || term.Err() != nil {
		t.Errorf("Transfer = %v, term %v", err, term.Err())
	}
	must(t, term.Transfer(soon(t), "foreign"))
	l, err := theirs.Leader(soon(t))
	if err != nil || l.Value != "foreign" || l.PID != 0 {
		t.Errorf("Leader = %+v, %v", l, err)
	}
	must(t, foreign.Close())
	must(t, (<-won).Resign(soon(t)))
}

// Run campaigns again after a loss, and returns only after its function.
func TestElectionRun(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	e := election.New(open(t, cluster.Shared(t), prefix), "x")
	ctx, cancel := context.WithCancel(t.Context())
	terms := make(chan *election.Term)
	var inside sync.WaitGroup
	ended := make(chan error, 1)
	go func() {
		ended <- e.Run(ctx, func(ctx context.Context, term *election.Term) error {
			inside.Add(1)
			defer inside.Done()
			terms <- term
			<-ctx.Done()
			return nil
		})
	}()
	first := <-terms
	if _, err := cluster.Shared(t).Delete(t.Context(), e.Key()+"/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	second := <-terms
	if !errors.Is(context.Cause(first.Context()), session.ErrLost) || second.Token() <= first.Token() {
		t.Errorf("first ended with %v; tokens %d, %d", context.Cause(first.Context()), first.Token(), second.Token())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	inside.Wait()
	awaitNoKeys(t, cluster.Shared(t), e.Key()+"/")
}

func TestElectionRequests(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	operator := open(t, cluster.Shared(t), prefix)
	if err := election.RequestResign(soon(t), operator, "x"); !errors.Is(err, election.ErrNoLeader) {
		t.Errorf("RequestResign of nobody: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	led := make(chan string)
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		e := election.New(open(t, cluster.Shared(t), prefix), "x", election.WithValue(name))
		all.Go(func() {
			_ = e.Run(ctx, func(ctx context.Context, _ *election.Term) error {
				select {
				case led <- name:
				case <-ctx.Done():
				}
				<-ctx.Done()
				return nil
			})
		})
	}
	who := <-led
	e := election.New(operator, "x")
	eventually(t, "all stand in line", func() bool { l, _ := e.Candidates(soon(t)); return len(l) == 3 })
	if err := election.RequestTransfer(soon(t), operator, "x", "nobody"); !errors.Is(err, election.ErrUnknownCandidate) {
		t.Errorf("RequestTransfer to nobody: %v", err)
	}
	list, err := e.Candidates(soon(t))
	must(t, err)
	must(t, election.RequestTransfer(soon(t), operator, "x", list[2].Value))
	if next := <-led; next != list[2].Value {
		t.Errorf("%s leads after a transfer to %s", next, list[2].Value)
	}
	must(t, election.RequestResign(soon(t), operator, "x"))
	if next := <-led; next == list[2].Value || next == "" {
		t.Errorf("%s leads after it resigned (before: %s)", next, who)
	}
	awaitNoKeys(t, cluster.Shared(t), e.Key()+".request")
	cancel()
	all.Wait()
}

func TestElectionLeaders(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	observer := election.New(open(t, cluster.Shared(t), prefix), "x")
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan *election.Leader, 100)
	ended := make(chan error, 1)
	go func() {
		for l, err := range observer.Leaders(ctx) {
			if err != nil {
				ended <- err
				return
			}
			seen <- l
		}
	}()
	expect := func(value string) {
		t.Helper()
		select {
		case l := <-seen:
			if l.Value != value || l.Vacant() != (value == "") || l.Skipped != 0 || !l.StaleSince.IsZero() {
				t.Fatalf("saw %+v, want %q", l, value)
			}
		case <-time.After(patience):
			t.Fatalf("never saw %q", value)
		}
	}
	expect("")
	e := election.New(open(t, cluster.Shared(t), prefix), "x", election.WithValue("a"))
	for range 5 { // however short a term is
		term := mustCampaign(t, e)
		must(t, term.Resign(soon(t)))
		expect("a")
		expect("")
	}
	term := mustCampaign(t, e)
	expect("a")
	must(t, term.Proclaim(soon(t), "b"))
	expect("b")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Leaders ended with %v", err)
	}
	must(t, term.Resign(soon(t)))
}

// The best who waits comes next.
func TestElectionPriorities(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	s := open(t, cluster.Shared(t), prefix)
	term := mustCampaign(t, election.New(s, "x", election.WithPriority(1)))
	low := campaigning(t, election.New(s, "x", election.WithPriority(2)))
	high := campaigning(t, election.New(s, "x", election.WithPriority(9)))
	must(t, term.Resign(soon(t)))
	next := <-high
	must(t, next.Resign(soon(t)))
	must(t, (<-low).Resign(soon(t)))

	eager := mustCampaign(t, election.New(s, "y", election.WithPriority(1), election.WithPreempt()))
	better := campaigning(t, election.New(s, "y", election.WithPriority(5)))
	term = <-better
	if eager.Err() == nil {
		t.Error("the worse one still leads")
	}
	must(t, term.Resign(soon(t)))

	if _, err := election.New(s, "z", election.WithPriority(101)).Campaign(soon(t)); err == nil {
		t.Error("priority 101 is fine")
	}
}
