package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/embed"

	"etcdkit/election"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// The defects of etcd's Election, in the way of TestDefect...: ours passes, etcd's shows the defect.
//
//	E1 a leader without a key: a phantom                  TestElectionDefectPhantom
//	E2 a compaction leaves a candidate nobody knows of    TestElectionDefectZombie
//	E3 a Resign that failed cannot be called again        TestElectionDefectResignOnce
//	E4 a lost reply leaves a candidate nobody knows of    TestElectionDefectOrphan
//	E5 no Resign after a Proclaim that failed             TestElectionDefectProclaim
//	E6 Campaign outlives its context while etcd is away   TestElectionDefectContextIgnored
//	E7 the keys of another election count                 TestElectionDefectPrefix
//	E8 observers: the end, and a vacancy, go untold       TestElectionDefectObserve
//	E9 a candidate is thrown out by an old auth token     TestElectionDefectToken

// campaignOf is Campaign for who only wants to know whether it leads.
func campaignOf(e *election.Election) func(context.Context) error {
	return func(ctx context.Context) error { _, err := e.Campaign(ctx); return err }
}

// theirElection returns an election of etcd's package with a session of its own.
func theirElection(t *testing.T, client *clientv3.Client, key string) *concurrency.Election {
	t.Helper()
	return concurrency.NewElection(theirSession(t, client), key)
}

func campaignOfTheirs(e *concurrency.Election) func(context.Context) error {
	return func(ctx context.Context) error { return e.Campaign(ctx, "theirs") }
}

// Etcd's Election is in TestDefectPhantom.
func TestElectionDefectPhantom(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	s := open(t, client, cluster.Prefix(t))
	e := election.New(s, "x")
	grantedAfterDeath(t, client, e.Key(), mustLease(t, s).ID(), campaignOf(e))
	if ks := keys(t, client, e.Key()); len(ks) != 1 {
		t.Errorf("it leads with the keys %v", ks)
	}
}

func TestElectionDefectZombie(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		e := election.New(open(t, client, "p", session.WithTTL(30*time.Second)), "x")
		w := newWaiter(t, client, c.Admin(), e.Key())
		w.wait(soon(t), campaignOf(e))
		compactAway(t, c)
		w.free()
		if err := w.returned(); err != nil || !e.IsLeader() {
			t.Errorf("Campaign = %v, leader %v", err, e.IsLeader())
		}
		must(t, e.Term().Resign(soon(t)))
		awaitNoKeys(t, c.Admin(), e.Key())
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		e := theirElection(t, client, "x")
		w := newWaiter(t, client, c.Admin(), "x")
		w.wait(soon(t), campaignOfTheirs(e))
		compactAway(t, c)
		if err := w.returned(); !errors.Is(err, rpctypes.ErrCompacted) {
			notShown(t, "Campaign = %v", err)
		}
		if err := e.Resign(soon(t)); err != nil {
			notShown(t, "Resign = %v", err)
		}
		w.free()
		if ks := keys(t, c.Admin(), "x"); len(ks) != 1 {
			notShown(t, "keys %v, want the zombie's", ks)
		}
	})
}

func TestElectionDefectResignOnce(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		e := election.New(open(t, client, cluster.Prefix(t)), "x")
		must(t, mustCampaign(t, e).Resign(over))
		if ks := keys(t, client, e.Key()); len(ks) > 0 {
			t.Errorf("keys left: %v", ks)
		}
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		e := theirElection(t, client, key)
		must(t, e.Campaign(soon(t), "theirs"))
		if err := e.Resign(over); !errors.Is(err, context.Canceled) {
			notShown(t, "Resign = %v", err)
		}
		if err := e.Resign(soon(t)); err != nil {
			notShown(t, "the second Resign = %v", err)
		}
		if ks := keys(t, client, key); len(ks) != 1 {
			notShown(t, "keys %v", ks)
		}
	})
}

func TestElectionDefectOrphan(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client, faults := faultyOf(t, c)
		e := election.New(open(t, client, "p"), "x")
		lost := faults.LoseReply(puts(e.Key()))
		term := mustCampaign(t, e)
		lost.Await()
		if ks := keys(t, c.Admin(), e.Key()); len(ks) != 1 {
			t.Errorf("keys %v, want the leader's alone", ks)
		}
		must(t, term.Resign(soon(t)))
		awaitNoKeys(t, c.Admin(), e.Key())
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		client, faults := faultyOf(t, c)
		e := theirElection(t, client, "x")
		lost := faults.LoseReply(puts("x/"))
		if err := e.Campaign(soon(t), "theirs"); err == nil {
			notShown(t, "Campaign = nil")
		}
		lost.Await()
		if err := e.Resign(soon(t)); err != nil {
			notShown(t, "Resign = %v", err)
		}
		if ks := keys(t, c.Admin(), "x"); len(ks) != 1 {
			notShown(t, "keys %v, want the orphan's", ks)
		}
	})
}

func TestElectionDefectProclaim(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		e := election.New(open(t, client, cluster.Prefix(t)), "x")
		term := mustCampaign(t, e)
		mustDelete(t, client, keys(t, client, e.Key())[0])
		for _, err := range []error{term.Proclaim(soon(t), "v"), term.Resign(soon(t))} {
			if !reason(session.Deleted)(err) {
				t.Errorf("after the loss: %v", err)
			}
		}
		must(t, mustCampaign(t, e).Resign(soon(t)))
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		e := theirElection(t, client, key)
		must(t, e.Campaign(soon(t), "theirs"))
		mustDelete(t, client, keys(t, client, key)[0])
		if err := e.Proclaim(soon(t), "v"); !errors.Is(err, concurrency.ErrElectionNotLeader) {
			notShown(t, "Proclaim = %v", err)
		}
		if err := e.Resign(soon(t)); err == nil {
			notShown(t, "Resign = nil")
		}
	})
}

func TestElectionDefectContextIgnored(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		e := election.New(open(t, client, "p"), "x")
		w := newWaiter(t, client, c.Admin(), e.Key())
		givesUp(t, c, w, campaignOf(e))
		if err := w.within(quiet); !errors.Is(err, context.Canceled) {
			t.Errorf("Campaign = %v", err)
		}
		c.Heal()
		w.free()
		awaitNoKeys(t, c.Admin(), e.Key())
	}, func(t *testing.T) {
		// Now and then the request of its clean-up still goes down with the connection, and it returns at once.
		for range 5 {
			c := cluster.New(t, 1)
			client := c.Client(t)
			w := newWaiter(t, client, c.Admin(), "x")
			givesUp(t, c, w, campaignOfTheirs(theirElection(t, client, "x")))
			shown := false
			select {
			case err := <-w.result:
				w.result <- err
			case <-time.After(quiet):
				shown = true
			}
			c.Heal()
			if err := w.returned(); !errors.Is(err, context.Canceled) {
				t.Errorf("Campaign = %v", err)
			}
			if shown {
				return
			}
		}
		notShown(t, "Campaign returns")
	})
}

func TestElectionDefectPrefix(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		client, prefix := cluster.Shared(t), cluster.Prefix(t)
		s := open(t, client, prefix)
		mustCampaign(t, election.New(s, "re-other"))
		for _, key := range []string{"re", prefix + "/election/re-other/@/1"} {
			if _, err := election.New(s, "re", election.WithKey(prefix+"/election/"+key)).Leader(soon(t)); !errors.Is(err, election.ErrNoLeader) {
				t.Errorf("at %q: %v", key, err)
			}
		}
		if _, err := election.New(s, "re").Leader(soon(t)); !errors.Is(err, election.ErrNoLeader) {
			t.Errorf("Leader = %v", err)
		}
	}, func(t *testing.T) {
		client, prefix := cluster.Shared(t), cluster.Prefix(t)
		must(t, theirElection(t, client, prefix+"/re-other").Campaign(soon(t), "another election's"))
		e := concurrency.ResumeElection(theirSession(t, client), prefix+"/re", "", 0)
		if resp, err := e.Leader(soon(t)); err != nil || string(resp.Kvs[0].Value) != "another election's" {
			notShown(t, "Leader = %v, %v", resp, err)
		}
	})
}

// Ours is in TestObserver... as well.
func TestElectionDefectObserve(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		e := election.New(open(t, c.Client(t), "p"), "x")
		strangerLeads(t, c.Admin(), e, "a")
		o := observe(t, soon(t), e)
		o.until("a")
		c.Cut()
		strangerLeaves(t, c.Admin(), e, "a")
		c.Compact(t)
		c.Heal()
		o.until("") // nobody
		strangerLeads(t, c.Admin(), e, "b")
		o.until("b")
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		mustPut(t, c.Admin(), "x/a", "a")
		told := theirElection(t, c.Client(t), "x").Observe(soon(t))
		<-told
		mustDelete(t, c.Admin(), "x/a")
		select {
		case resp, ok := <-told:
			notShown(t, "of a vacancy it is told %v, %v", resp, ok)
		case <-time.After(quiet):
		}
		c.Cut()
		for range 5 {
			put(t, c.Admin(), "noise", "")
		}
		c.Compact(t)
		c.Heal()
		select {
		case resp, ok := <-told:
			if ok {
				notShown(t, "after a compaction it is told %v", resp)
			}
		case <-time.After(patience):
			notShown(t, "after a compaction it goes on")
		}
	})
}

func TestElectionDefectToken(t *testing.T) {
	t.Parallel()
	shortTokens := func(cfg *embed.Config) { cfg.AuthTokenTTL = 1 }
	// turns lets the two ahead of the candidate go, the second when the token is too old with which the candidate watches.
	turns := func(t *testing.T, root *clientv3.Client, w *waiter, key string, campaign func(context.Context) error) error {
		mustPut(t, root, key+"/second", "")
		<-w.client.Watch(soon(t), key+".else", clientv3.WithCreatedNotify()) // a program that watches something keeps its stream
		go func() { w.result <- campaign(soon(t)) }()
		for opened := range w.opened {
			if opened == key+"/second" {
				break
			}
		}
		expire(t, w.client)
		mustDelete(t, root, key+"/second")
		select {
		case err := <-w.result:
			return err
		case <-time.After(quiet): // it waits for the first
		}
		w.admin = root
		w.free()
		return w.returned()
	}
	sides(t, func(t *testing.T) {
		_, root, user := guarded(t, shortTokens)
		e := election.New(open(t, user, "mine/p"), "x")
		w := newWaiter(t, user, root, e.Key())
		if err := turns(t, root, w, e.Key(), campaignOf(e)); err != nil {
			t.Errorf("Campaign = %v", err)
		}
	}, func(t *testing.T) {
		_, root, user := guarded(t, shortTokens)
		e := theirElection(t, user, "mine/x")
		w := newWaiter(t, user, root, "mine/x")
		if err := turns(t, root, w, "mine/x", campaignOfTheirs(e)); err == nil {
			notShown(t, "Campaign = nil")
		}
	})
}
