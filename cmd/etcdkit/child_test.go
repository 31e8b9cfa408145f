package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// untilTold lets a shell run until one of its traps ends it. In a read it could miss a signal that comes just before.
const untilTold = `while :; do sleep 0.02; done`

func TestSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "lock", "signals", "--", "sh", "-c", `
		for s in HUP USR1 USR2 INT QUIT; do trap "echo got $s" $s; done
		trap "echo got TERM; exit 0" TERM
		echo ready
		`+untilTold)
	p.await("ready")
	for _, s := range []struct {
		sig  syscall.Signal
		name string
	}{
		{syscall.SIGHUP, "HUP"},
		{syscall.SIGUSR1, "USR1"},
		{syscall.SIGUSR2, "USR2"},
		{syscall.SIGINT, "INT"},
		{syscall.SIGQUIT, "QUIT"},
		{syscall.SIGTERM, "TERM"},
	} {
		p.signal(s.sig)
		p.await("got " + s.name)
	}
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	if got := strings.Count(p.out.all(), "got"); got != 6 {
		t.Errorf("%d signals arrived, want each once: %s", got, p.out.all())
	}
}

// TestCutOffFromEtcd: etcd is frozen, and the command is told before etcd could give the lock to anybody else.
func TestCutOffFromEtcd(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second // the least that etcd grants, set up as "etcdkit dev" does
	etcd, endpoint := startDev(t, t.TempDir())
	p := launch(t, nil, "--endpoints", endpoint, "lock", "cut", "--ttl", ttl.String(), "--", "sh", "-c", `
		trap "echo told; exit 0" TERM
		echo ready
		`+untilTold)
	p.await("ready")
	began := time.Now()
	etcd.signal(syscall.SIGSTOP)
	p.await("told")
	if took := time.Since(began); took > ttl {
		t.Errorf("told after %v", took)
	}
	p.awaitNote(`lock "cut": lost: the lease was not renewed in time`)
	if status := p.wait(); status != statusLost {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	if took := time.Since(began); took > 2*ttl {
		t.Errorf("ended after %v", took)
	}
}

// TestLossEndsAllThatWasStarted: the command and its child ignore SIGTERM, and both are gone when etcdkit ends.
func TestLossEndsAllThatWasStarted(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "lock", "stubborn", "--grace", "200ms", "--", "sh", "-c", `
		trap "echo told" TERM
		sh -c 'trap "" TERM; echo child $$; while :; do sleep 100; done' &
		while :; do wait; done`)
	child := childPID(t, p.await("child"))
	began := time.Now()
	succeed(t, "lock", "break", "stubborn")
	p.await("told")
	p.awaitNote("killing sh, which did not end within 200ms")
	if status := p.wait(); status != statusLost {
		t.Errorf("status %d", status)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("killed after %v, before its grace was over", took)
	}
	awaitGone(t, child)
}

// TestLossWaitsForWhatIsLeft: the command ends when it is told, and its child, which needs longer, has the rest of the grace.
func TestLossWaitsForWhatIsLeft(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "lock", "orderly", "--grace", "1m", "--", "sh", "-c", `
		sh -c 'trap "sleep 0.2; echo saved; exit" TERM; echo child $$; while :; do sleep 0.05; done' &
		wait`)
	child := childPID(t, p.await("child"))
	succeed(t, "lock", "break", "orderly")
	p.await("saved")
	if status := p.wait(); status != statusLost {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	awaitGone(t, child)
}

func childPID(t *testing.T, line string) int {
	t.Helper()
	pid, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(line))
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return pid
}

// awaitGone waits for whoever has inherited a killed process to bury it.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("process %d is left", pid)
		}
	}
}

func TestCommandThatCannotRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		command string
		want    int
	}{{"no-such-command", statusNotFound}, {"/no/such/command", statusNotFound}, {"/dev/null", statusCannot}, {"/", statusCannot}} {
		_, stderr, status := etcdkit(t, "lock", "--prefix", "cannot", "run", "name", "--", c.command)
		if status != c.want || !strings.Contains(stderr, c.command) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, %q", c.command, status, stderr)
		}
	}
	if keys := keysOf(t, shared.client, "cannot/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// isZombie tells whether a process has ended and waits to be buried.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && regexp.MustCompile(`\) Z `).Match(stat)
}
