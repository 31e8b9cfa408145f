package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"
)

// candidateFor launches a candidate whose command runs until it is given a line.
func candidateFor(t *testing.T, name string, flags ...string) *process {
	t.Helper()
	return launch(t, nil, append(append([]string{"elect", "run", name}, flags...), untilLine...)...)
}

func TestNextCandidateWaitsForTheLeader(t *testing.T) {
	t.Parallel()
	first := candidateFor(t, "contended", "--value", "ann")
	first.awaitNote(`leading: election "contended", token`)
	one := token(t, first.await("started"))
	second := launch(t, nil, append([]string{"elect", "contended"}, untilLine...)...)
	second.awaitNote(fmt.Sprintf(`waiting: election "contended": led by ann, token %d`, one))
	if got := second.out.all(); got != "" {
		t.Fatalf("the second runs beside the first: %q", got)
	}
	finish(first)
	if two := token(t, second.await("started")); two <= one {
		t.Errorf("token %d after %d", two, one)
	}
	finish(second)
	if keys := keysOf(t, shared.client, "etcdkit/election/contended/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

func TestTerminatedLeaderIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	for _, restart := range []string{"--restart=false", "--restart=true"} { // which is not for who was asked to end
		t.Run(restart, func(t *testing.T) {
			t.Parallel()
			name := "terminated" + restart
			leader := launch(t, nil, "elect", restart, name, "--", "sh", "-c", `trap 'echo told; exit 3' TERM; echo ready; `+untilTold)
			leader.await("ready")
			next := candidateFor(t, name)
			next.awaitNote("waiting")
			began := time.Now()
			leader.signal(syscall.SIGTERM)
			leader.await("told")
			next.await("started")
			took := time.Since(began)
			t.Logf("the next one led after %v", took)
			if took > time.Second { // it is a few milliseconds, on a machine that has nothing else to do
				t.Errorf("the next one led after %v", took)
			}
			if status := leader.wait(); status != 3 || leader.out.all() != "ready\ntold\n" {
				t.Errorf("status %d, want that of the command; %q", status, leader.out.all())
			}
		})
	}
}

func TestCommandOfALeaderSeesTheElection(t *testing.T) {
	t.Parallel()
	out := succeed(t, "elect", "environment", "--", "sh", "-c", `echo "$ETCDKIT_ELECTION $ETCDKIT_TOKEN $0"`, "zero")
	var name, args string
	var token int64
	if _, err := fmt.Sscan(out, &name, &token, &args); err != nil || name != "environment" || token == 0 || args != "zero" {
		t.Errorf("it sees %q, %v", out, err)
	}
}

func TestStatusIsThatOfTheLeadersCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script string
		want   int
	}{{"exit 0", 0}, {"exit 7", 7}, {"kill -9 $$", 128 + 9}, {"kill -HUP $$", 128 + 1}} {
		_, stderr, status := etcdkit(t, "elect", "status", "--", "sh", "-c", c.script)
		if status != c.want || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "etcdkit: leading: ") {
			t.Errorf("%s: status %d, want %d; %q", c.script, status, c.want, stderr)
		}
	}
	for command, want := range map[string]int{"no-such-command": statusNotFound, "/dev/null": statusCannot} {
		if _, stderr, status := etcdkit(t, "elect", "--restart", "status", "--", command); status != want || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, %q", command, status, stderr)
		}
	}
}

// TestRestart: the command ends by itself, with any status, and runs again in a later term, until a signal.
func TestRestart(t *testing.T) {
	t.Parallel()
	p := candidateFor(t, "restarted", "--restart")
	last := int64(0)
	for range 3 {
		n := token(t, p.await("started"))
		if n <= last {
			t.Errorf("token %d after %d", n, last)
		}
		last = n
		p.say("end")
		p.awaitNote("sh ended with status 0; resigning, to start it again")
	}
	p.await("started")
	p.signal(syscall.SIGINT)
	if status := p.wait(); status != 128+2 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
}

func TestSignalToACandidateLeavesNothing(t *testing.T) {
	t.Parallel()
	leader := candidateFor(t, "queue", "--prefix", "candidates")
	leader.await("started")
	before := keysOf(t, shared.client, "candidates/")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		waiter := candidateFor(t, "queue", "--prefix", "candidates")
		waiter.awaitNote("waiting")
		waiter.signal(syscall.SIGUSR1) // means nothing to one that waits
		waiter.signal(sig)
		if status := waiter.wait(); status != 128+int(sig) || waiter.out.all() != "" {
			t.Errorf("%v: status %d: %s", sig, status, waiter.err.all())
		}
		if after := keysOf(t, shared.client, "candidates/"); len(after) != len(before) {
			t.Errorf("%v: left behind: %q, before %q", sig, after, before)
		}
	}
}

func TestSignalsReachTheLeadersCommand(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "elect", "signals", "--", "sh", "-c", `
		for s in HUP USR1 USR2; do trap "echo got $s" $s; done
		trap "echo got INT; exit 5" INT
		echo ready
		`+untilTold)
	p.await("ready")
	for sig, name := range map[syscall.Signal]string{syscall.SIGHUP: "HUP", syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2"} {
		p.signal(sig)
		p.await("got " + name)
	}
	p.signal(syscall.SIGINT)
	p.await("got INT")
	if status := p.wait(); status != 5 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
}

func TestElectionOfEtcdctl(t *testing.T) {
	t.Parallel()
	s, err := concurrency.NewSession(shared.client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	theirs := concurrency.NewElection(s, "/legacy/leader") // what etcdctl elect does
	if err := theirs.Campaign(t.Context(), "theirs"); err != nil {
		t.Fatal(err)
	}
	ours := candidateFor(t, "/legacy/leader", "--exact-key", "--value", "ours")
	ours.awaitNote("led by theirs, token")
	complaint{"not of the kit", []string{"elect", "resign", "--exact-key", "/legacy/leader"}, statusFailed, []string{"the leader is not of this kit"}}.check(t, shared.endpoint)
	if err := theirs.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours.await("started")
	resp, err := theirs.Leader(t.Context())
	if err != nil || string(resp.Kvs[0].Value) != "ours" {
		t.Errorf("they see %v, %v", resp, err)
	}
}
