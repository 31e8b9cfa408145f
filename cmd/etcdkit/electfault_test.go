package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestKilledLeaderIsReplacedAfterItsTTL(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	leader := launch(t, nil, "elect", "killed", "--ttl", ttl.String(), "--", "sh", "-c", `echo ready; read line; echo survived`)
	leader.await("ready")
	next := candidateFor(t, "killed")
	next.awaitNote("waiting")
	began := time.Now()
	leader.signal(syscall.SIGKILL)
	next.await("started")
	took := time.Since(began)
	t.Logf("the next one led after %v", took)
	if took > ttl+1500*time.Millisecond {
		t.Errorf("the next one led after %v", took)
	}
	<-leader.done // its output is closed: the command is gone as well
	if got := leader.out.all(); got != "ready\n" {
		t.Errorf("the command went on: %q", got)
	}
}

// TestDeletedLeaderStandsAgain: somebody deletes its key, its command is told why, and runs again in a later term.
func TestDeletedLeaderStandsAgain(t *testing.T) {
	t.Parallel()
	p := candidateFor(t, "deleted", "--prefix", "robbed")
	one := token(t, p.await("started"))
	if _, err := shared.client.Delete(t.Context(), "robbed/election/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	p.awaitNote(`election "deleted": lost: the key was deleted by somebody else; ending sh`)
	two := token(t, p.await("started"))
	p.awaitNote(fmt.Sprintf(`leading: election "deleted", token %d`, two))
	if two <= one {
		t.Errorf("token %d after %d", two, one)
	}
	finish(p)
}

// TestLeaderEndsWhileEtcdIsSilent: the command has its status, and nobody waits long for an answer to the resignation.
func TestLeaderEndsWhileEtcdIsSilent(t *testing.T) {
	t.Parallel()
	etcd, endpoint := startDev(t, t.TempDir())
	p := launch(t, nil, append([]string{"--endpoints", endpoint, "elect", "silent", "--ttl", "30s"}, untilLine...)...)
	p.await("started")
	etcd.signal(syscall.SIGSTOP)
	began := time.Now()
	p.say("end")
	p.await("ended")
	p.awaitNote("another one leads when the TTL has run out")
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	if took := time.Since(began); took > 2*closeTime+slack {
		t.Errorf("took %v", took)
	}
}

// TestLeaderCutOff: etcd is frozen, the command is told before etcd could let anybody else lead, and runs again when etcd is back.
func TestLeaderCutOff(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	etcd, endpoint := startDev(t, t.TempDir())
	p := launch(t, nil, "--endpoints", endpoint, "elect", "cut", "--ttl", ttl.String(), "--", "sh", "-c", `
		trap "echo told; exit 0" TERM
		echo started $ETCDKIT_TOKEN
		`+untilTold)
	one := token(t, p.await("started"))
	began := time.Now()
	etcd.signal(syscall.SIGSTOP)
	p.await("told")
	if took := time.Since(began); took > ttl {
		t.Errorf("told after %v", took)
	}
	p.awaitNote(`election "cut": lost: the lease was not renewed in time`)
	etcd.signal(syscall.SIGCONT)
	if two := token(t, p.await("started")); two <= one {
		t.Errorf("token %d after %d", two, one)
	}
	p.signal(syscall.SIGTERM)
	p.await("told")
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
}
