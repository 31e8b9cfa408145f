package integration

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/election"
	"etcdkit/integration/cluster"
)

// etcdctlElect starts `etcdctl elect key value` and returns it and the lines that it prints, the first one when it leads.
func etcdctlElect(t *testing.T, key, value string) (*exec.Cmd, <-chan string) {
	t.Helper()
	path, err := etcdctl()
	must(t, err)
	cmd := exec.Command(path, "--endpoints", cluster.SharedEndpoints()[0], "elect", key, value)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, lines
}

// `etcdctl elect` and an Election stand in one line, both ways, at the kit's own key and at a legacy one.
func TestEtcdctlElectStandsInTheSameLine(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	for _, e := range []*election.Election{
		election.New(s, "x", election.WithValue("ours")),
		election.New(s, "legacy", election.WithValue("ours"), election.WithKey(prefix+"/legacy/jobs"), election.WithPriority(3)),
	} {
		term := mustCampaign(t, e)
		cmd, lines := etcdctlElect(t, e.Key(), "theirs")
		eventually(t, "etcdctl stands in line", func() bool { l, _ := e.Candidates(soon(t)); return len(l) == 2 })
		select {
		case line := <-lines:
			t.Fatalf("etcdctl leads beside us: %s", line)
		default:
		}
		must(t, term.Transfer(soon(t), "theirs"))
		if _, value := <-lines, <-lines; value != "theirs" { // the key, then the value
			t.Errorf("etcdctl says %q", value)
		}
		if l, err := e.Leader(soon(t)); err != nil || l.Value != "theirs" || l.PID != 0 {
			t.Errorf("Leader = %+v, %v", l, err)
		}
		won := campaigning(t, e)
		select {
		case <-won:
			t.Error("we lead beside etcdctl")
		default:
		}
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		must(t, nextTerm(t, won).Resign(soon(t)))
	}
}

// `etcdctl elect -l` follows our leaders.
func TestEtcdctlObservesOurLeader(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	e := election.New(open(t, client, prefix), "x", election.WithValue("ours"))
	term := mustCampaign(t, e)
	_, lines := etcdctlElect(t, "-l", e.Key())
	guard := term.Guard()
	if key, value := <-lines, <-lines; key != string(guard.KeyBytes()) || value != "ours" {
		t.Errorf("etcdctl says %q, %q", key, value)
	}
	must(t, term.Proclaim(soon(t), "another"))
	if _, value := <-lines, <-lines; value != "another" {
		t.Errorf("etcdctl says %q", value)
	}
}

// A fleet of which some use etcd's package and some use this one never has two leaders.
func TestMixedElection(t *testing.T) {
	t.Parallel()
	const each, rounds = 3, 8
	prefix := cluster.Prefix(t)
	key := prefix + "/legacy/leader"
	var one oneAtATime
	var all sync.WaitGroup
	ours := func() {
		terms := 0
		e := election.New(open(t, cluster.Shared(t), prefix), "leader", election.WithKey(key),
			election.WithRestart(func(error) bool { return terms < rounds }))
		err := e.Run(soon(t), func(_ context.Context, term *election.Term) error {
			terms++
			one.enter(t, int64(term.Token()))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	theirs := func() {
		s, err := concurrency.NewSession(cluster.Shared(t), concurrency.WithTTL(5))
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = s.Close() }()
		for range rounds {
			e := concurrency.NewElection(s, key)
			err := e.Campaign(soon(t), "theirs")
			if err == nil {
				one.enter(t, e.Rev())
				err = e.Resign(soon(t))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}
	for range each {
		all.Go(ours)
		all.Go(theirs)
	}
	all.Wait()
}

// etcd's package on the very lease and key name of ours is a foreigner like any other.
func TestTheirElectionOnOurLease(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	e := election.New(s, "x")
	their, err := concurrency.NewSession(client, concurrency.WithLease(mustLease(t, s).ID()))
	must(t, err)
	defer their.Orphan()
	theirs := concurrency.NewElection(their, e.Key())
	must(t, theirs.Campaign(soon(t), "theirs"))
	won := campaigning(t, e)
	select {
	case <-won:
		t.Error("it leads beside etcd's")
	default:
	}
	must(t, theirs.Resign(soon(t)))
	must(t, nextTerm(t, won).Resign(soon(t)))
	if _, err := e.Leader(soon(t)); !errors.Is(err, election.ErrNoLeader) {
		t.Errorf("Leader = %v", err)
	}
}

// A term protects what is done in a transaction of concurrency.STM, also beside a Proclaim.
func TestElectionCheckSTM(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	term := mustCampaign(t, election.New(open(t, client, prefix), "x"))
	write := func() error {
		_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
			if err := term.CheckSTM(stm); err != nil {
				return err
			}
			stm.Put(prefix+"/data", "1")
			return nil
		}, concurrency.WithAbortContext(soon(t)))
		return err
	}
	must(t, write())
	must(t, term.Proclaim(soon(t), "v"))
	must(t, write())
	guard := term.Guard()
	mustDelete(t, client, string(guard.KeyBytes()))
	if err := write(); err == nil {
		t.Error("a write after the loss = nil")
	}
}
