package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// nextTerm waits for a term that campaigning started.
func nextTerm(t *testing.T, won <-chan *election.Term) *election.Term {
	t.Helper()
	select {
	case term := <-won:
		return term
	case <-time.After(patience):
		t.Fatal("nobody leads")
		return nil
	}
}

// standing are a leader on a client with faults, and two candidates behind it, each with a session of its own.
func standing(t *testing.T) (c *cluster.Cluster, f *cluster.Faults, leader *election.Term, b, target *candidacy) {
	t.Helper()
	c = cluster.New(t, 1)
	client, f := faultyOf(t, c)
	leader = mustCampaign(t, election.New(open(t, client, "p"), "x"))
	b, target = stand(t, c, "b"), stand(t, c, "target")
	return c, f, leader, b, target
}

// candidacy is a candidate that waits.
type candidacy struct {
	s   *session.Session
	e   *election.Election
	won <-chan *election.Term
}

func stand(t *testing.T, c *cluster.Cluster, value string) *candidacy {
	t.Helper()
	s := open(t, c.Client(t), "p")
	e := election.New(s, "x", election.WithValue(value))
	return &candidacy{s, e, campaigning(t, e)}
}

func TestLostReplyOfATransfer(t *testing.T) {
	t.Parallel()
	c, f, leader, b, target := standing(t)
	lost := f.LoseReply(deletes(b.e.Key()))
	must(t, leader.Transfer(soon(t), "target"))
	lost.Await()
	next := nextTerm(t, target.won)
	if guardHolds(t, c.Admin(), leader) || !guardHolds(t, c.Admin(), next) {
		t.Error("a guard is wrong")
	}
	must(t, next.Resign(soon(t)))
	must(t, nextTerm(t, b.won).Resign(soon(t)))
	awaitNoKeys(t, c.Admin(), b.e.Key())
}

// The transaction arrives late, when it has long been sent again: it must do nothing.
func TestLateTransferIsVoid(t *testing.T) {
	t.Parallel()
	c, f, leader, b, target := standing(t)
	late := f.SendLate(deletes(b.e.Key()))
	must(t, leader.Transfer(soon(t), "target"))
	next := nextTerm(t, target.won)
	eventually(t, "who was passed over stands again", func() bool { return len(keys(t, c.Admin(), b.e.Key())) == 2 })
	must(t, late.Release())
	if next.Err() != nil || len(keys(t, c.Admin(), b.e.Key())) != 2 {
		t.Errorf("the late transfer did something: %v, %v", next.Err(), keys(t, c.Admin(), b.e.Key()))
	}
	must(t, next.Resign(soon(t)))
	must(t, nextTerm(t, b.won).Resign(soon(t)))
}

// The target dies while the transfer is under way: the leader resigns instead, and the next one leads.
func TestTransferToACandidateThatDies(t *testing.T) {
	t.Parallel()
	c, f, leader, b, target := standing(t)
	held := f.Hold(deletes(b.e.Key()))
	failed := make(chan error, 1)
	go func() { failed <- leader.Transfer(soon(t), "target") }()
	held.Await()
	_, err := c.Admin().Revoke(soon(t), mustLease(t, target.s).ID())
	must(t, err)
	must(t, held.Release())
	err = <-failed
	if !errors.Is(err, election.ErrUnknownCandidate) || !strings.Contains(err.Error(), "resigned instead") {
		t.Errorf("Transfer = %v", err)
	}
	must(t, nextTerm(t, b.won).Resign(soon(t)))
	must(t, nextTerm(t, target.won).Resign(soon(t))) // it stands again with another lease
	awaitNoKeys(t, c.Admin(), b.e.Key())
}

// The line moves under the transfer: it finds the way anew.
func TestTransferInALineThatMoves(t *testing.T) {
	t.Parallel()
	c, f, leader, b, target := standing(t)
	held := f.Hold(deletes(b.e.Key()))
	moved := make(chan error, 1)
	go func() { moved <- leader.Transfer(soon(t), "target") }()
	held.Await()
	must(t, b.s.Close(soon(t)))
	must(t, held.Release())
	must(t, <-moved)
	must(t, nextTerm(t, target.won).Resign(soon(t)))
	awaitNoKeys(t, c.Admin(), b.e.Key())
}

// Nobody answers: the context of the term ends at once, and Transfer with its own.
func TestTransferWhileEtcdIsUnreachable(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	e := election.New(open(t, client, "p", session.WithTTL(time.Minute)), "x")
	leader := mustCampaign(t, e)
	won := campaigning(t, election.New(open(t, client, "p", session.WithTTL(time.Minute)), "x", election.WithValue("target")))
	c.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := leader.Transfer(ctx, "target"); !errors.Is(err, context.DeadlineExceeded) || leader.Err() != nil {
		t.Errorf("Transfer = %v, and the term: %v", err, leader.Err()) // it could not even look, so the term goes on
	}
	over, stop := context.WithCancel(t.Context())
	stop()
	if err := leader.Resign(over); !errors.Is(err, session.ErrUncertain) {
		t.Errorf("Resign = %v", err)
	}
	must(t, leader.Resign(over))
	c.Heal()
	must(t, nextTerm(t, won).Resign(soon(t)))
	awaitNoKeys(t, c.Admin(), e.Key())
}

// The leader's process dies: the next one leads when the lease has run out.
func TestLeaderDies(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	const ttl = 2 * time.Second
	dying := c.Client(t)
	mustCampaign(t, election.New(open(t, dying, "p", session.WithTTL(ttl)), "x"))
	b := stand(t, c, "b")
	from := time.Now()
	must(t, dying.Close())
	must(t, nextTerm(t, b.won).Resign(soon(t)))
	if took := time.Since(from); took > ttl+8*time.Second { // the promise is 1.5 s; this machine has other things to do
		t.Errorf("nobody led for %v", took)
	}
}

// A leader on a member that is cut off from the others stops before another one leads.
func TestLeaderOnACutOffMember(t *testing.T) {
	t.Parallel()
	c, member, client := pinned(t)
	term := mustCampaign(t, election.New(open(t, client, "p", session.WithTTL(2*time.Second)), "x"))
	rest := c.Client(t, func(cfg *clientv3.Config) {
		cfg.Endpoints = append(append([]string{}, c.Endpoints()[:member]...), c.Endpoints()[member+1:]...)
	})
	won := campaigning(t, election.New(open(t, rest, "p", session.WithTTL(5*time.Second)), "x"))
	c.Isolate(member)
	next := nextTerm(t, won)
	if term.Context().Err() == nil || !reason(session.Expired)(term.Err()) {
		t.Errorf("another one leads, and the term: %v", term.Err())
	}
	c.Rejoin(member)
	must(t, next.Resign(soon(t)))
}

// All of etcd is away for longer than the leases live: the leader stops, and then there is one again.
func TestElectionOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	var runs []*running
	began := make(chan *election.Term, 1000)
	for i := range 3 {
		r := startRun(t, election.New(open(t, c.Client(t), "p", session.WithTTL(2*time.Second)), "x", election.WithValue(fmt.Sprint(i))))
		go func() {
			for term := range r.began {
				began <- term
			}
		}()
		runs = append(runs, r)
	}
	first := <-began
	c.Stop(0)
	done(t, "the end of the term", first.Context().Done())
	if !reason(session.Expired)(first.Err()) {
		t.Errorf("it ended with %v", first.Err())
	}
	c.Restart(t, 0)
	if second := <-began; second.Token() <= first.Token() {
		t.Errorf("token %d after %d", second.Token(), first.Token())
	}
	for _, r := range runs {
		r.cancel()
		if err := r.returned(); err == nil {
			t.Error("Run = nil")
		}
		close(r.began)
	}
}

// Compaction at the head all the time, and a cut of everybody now and then: leaders follow each other, and no key is left.
func TestElectionUnderCompaction(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 4 {
		e := election.New(open(t, c.Client(t), "p", session.WithTTL(30*time.Second)), "x", election.WithValue(fmt.Sprint(i)))
		all.Go(func() {
			for range 5 {
				term, err := e.Campaign(soon(t))
				if err != nil {
					t.Error(err)
					return
				}
				if err := term.Resign(soon(t)); err != nil && !errors.Is(err, session.ErrUncertain) {
					t.Error(err)
				}
			}
		})
	}
	go func() { all.Wait(); stop() }()
	for i := 0; ctx.Err() == nil; i++ {
		put(t, c.Admin(), "noise", "")
		c.Compact(t)
		if i%20 == 10 {
			c.Cut()
			c.Heal()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	awaitNoKeys(t, c.Admin(), "p/election/")
}

// What others do to our keys.
func TestElectionAmongStrangers(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	e := election.New(s, "x")
	harm := map[string]func(term *election.Term) error{
		"its key is deleted": func(term *election.Term) error {
			guard := term.Guard()
			_, err := client.Delete(soon(t), string(guard.KeyBytes()))
			return err
		},
		"its lease is revoked": func(*election.Term) error {
			_, err := client.Revoke(soon(t), mustLease(t, s).ID())
			return err
		},
	}
	for name, hurt := range harm {
		term := mustCampaign(t, e)
		must(t, hurt(term))
		done(t, name, term.Context().Done())
		if err := term.Proclaim(soon(t), "v"); !errors.Is(err, session.ErrLost) {
			t.Errorf("%s: Proclaim = %v", name, err)
		}
		if err := term.Transfer(soon(t), "v"); !errors.Is(err, session.ErrLost) {
			t.Errorf("%s: Transfer = %v", name, err)
		}
		if err := term.Resign(soon(t)); !errors.Is(err, session.ErrLost) || e.IsLeader() {
			t.Errorf("%s: Resign = %v, leader %v", name, err, e.IsLeader())
		}
		must(t, term.Resign(soon(t)))
	}
	junk := e.Key() + "/\xff+100\x00"
	put(t, client, junk, "\x00")
	won := campaigning(t, e)
	if l, err := e.Leader(soon(t)); err != nil || l.Key != junk || l.Vacant() || l.PID != 0 {
		t.Errorf("Leader = %+v, %v", l, err)
	}
	mine, err := e.Candidates(soon(t))
	must(t, err)
	_, err = client.Delete(soon(t), mine[1].Key)
	must(t, err)
	select {
	case <-won:
		t.Error("it leads beside a foreign key")
	default:
	}
	_, err = client.Delete(soon(t), junk)
	must(t, err)
	must(t, nextTerm(t, won).Resign(soon(t)))
}

func TestElectionInAFullStore(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1, cluster.SmallQuota)
	e := election.New(open(t, c.Client(t), "p"), "x", election.WithPriority(1))
	term := mustCampaign(t, e)
	won := campaigning(t, election.New(open(t, c.Client(t), "p"), "x"))
	c.FillSpace(t)
	if err := term.Proclaim(within(t, 500*time.Millisecond), "v"); err == nil {
		t.Error("Proclaim in a full store = nil")
	}
	must(t, term.Resign(soon(t)))
	must(t, nextTerm(t, won).Resign(soon(t)))
	awaitNoKeys(t, c.Admin(), e.Key())
}
