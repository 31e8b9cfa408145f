package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// untilLine is a command that holds the lock until it is given a line.
var untilLine = []string{"--", "sh", "-c", `echo started $ETCDKIT_TOKEN; read line; echo ended`}

// keysOf returns the keys that stand under a prefix.
func keysOf(t *testing.T, client *clientv3.Client, prefix string) []string {
	t.Helper()
	resp, err := client.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kv := range resp.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys
}

// token reads what untilLine prints.
func token(t *testing.T, line string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscanf(line, "started %d", &n); err != nil || n == 0 {
		t.Fatalf("no token in %q", line)
	}
	return n
}

func TestSecondWaitsForFirst(t *testing.T) {
	t.Parallel()
	first := launch(t, nil, append([]string{"lock", "run", "contended"}, untilLine...)...)
	one := token(t, first.await("started"))
	second := launch(t, nil, append([]string{"lock", "contended"}, untilLine...)...)
	if note := second.awaitNote("waiting: "); !strings.Contains(note, `lock "contended": held by `) ||
		!strings.Contains(note, fmt.Sprintf("process %d, token %d", first.cmd.Process.Pid, one)) {
		t.Errorf("it says %q", note)
	}
	if got := second.out.all(); got != "" {
		t.Fatalf("the second runs beside the first: %q", got)
	}
	first.say("go on")
	first.await("ended")
	if two := token(t, second.await("started")); two <= one {
		t.Errorf("token %d after %d", two, one)
	}
	second.say("go on")
	if one, two := first.wait(), second.wait(); one != 0 || two != 0 {
		t.Errorf("status %d and %d", one, two)
	}
}

func TestCommandSeesTheLock(t *testing.T) {
	t.Parallel()
	out := succeed(t, "lock", "environment", "--", "sh", "-c", `echo "$ETCDKIT_LOCK $ETCDKIT_TOKEN $ETCD_LOCK_KEY $ETCD_LOCK_REV $0 $@"`, "zero", "--one", "two")
	var name, token, key, rev, args string
	if _, err := fmt.Sscan(out, &name, &token, &key, &rev, &args); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if name != "environment" || token != rev || !strings.HasPrefix(key, "etcdkit/lock/environment/@/") || !strings.HasSuffix(out, " zero --one two\n") {
		t.Errorf("it sees %q", out)
	}
}

func TestStatusIsTheCommands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script string
		want   int
	}{{"exit 0", 0}, {"exit 7", 7}, {"exit 255", 255}, {"kill -9 $$", 128 + 9}, {"kill -TERM $$", 128 + 15}} {
		_, stderr, status := etcdkit(t, "lock", "status", "--", "sh", "-c", c.script)
		if status != c.want || stderr != "" {
			t.Errorf("%s: status %d, want %d; %q", c.script, status, c.want, stderr)
		}
	}
	if _, _, status := etcdkit(t, "lock", "status", "sh", "-c"); status != statusOwn {
		t.Errorf("flags of the command before --: status %d", status)
	}
}

func TestTerminatedHolderLetsGoAtOnce(t *testing.T) {
	t.Parallel()
	holder := launch(t, nil, "lock", "terminated", "--", "sh", "-c", `trap 'echo told; exit 3' TERM; echo ready; `+untilTold)
	holder.await("ready")
	next := launch(t, nil, append([]string{"lock", "terminated"}, untilLine...)...)
	next.awaitNote("waiting")
	began := time.Now()
	holder.signal(syscall.SIGTERM)
	holder.await("told")
	next.await("started")
	took := time.Since(began)
	t.Logf("the next one was in after %v", took)
	if took > time.Second { // it is a few milliseconds, on a machine that has nothing else to do
		t.Errorf("the next one was in after %v", took)
	}
	if status := holder.wait(); status != 3 {
		t.Errorf("status %d, want that of the command", status)
	}
}

func TestKilledHolderIsReplacedAfterItsTTL(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	holder := launch(t, nil, "lock", "killed", "--ttl", ttl.String(), "--", "sh", "-c", `echo ready; read line; echo survived`)
	holder.await("ready")
	next := launch(t, nil, append([]string{"lock", "killed"}, untilLine...)...)
	next.awaitNote("waiting")
	began := time.Now()
	holder.signal(syscall.SIGKILL)
	next.await("started")
	took := time.Since(began)
	t.Logf("the next one was in after %v", took)
	if took > ttl+1500*time.Millisecond {
		t.Errorf("the next one was in after %v", took)
	}
	<-holder.done // its output is closed: the command is gone as well
	if got := holder.out.all(); got != "ready\n" {
		t.Errorf("the command went on: %q", got)
	}
}

func TestTryAndWait(t *testing.T) {
	t.Parallel()
	holder := launch(t, nil, append([]string{"lock", "busy"}, untilLine...)...)
	n := token(t, holder.await("started"))
	for _, args := range [][]string{{"--try"}, {"--wait", "100ms"}} {
		stdout, stderr, status := etcdkit(t, append(append([]string{"lock", "run", "busy"}, args...), "--", "echo", "ran")...)
		if status != statusNotFree || stdout != "" {
			t.Errorf("%v: status %d, %q", args, status, stdout)
		}
		if want := fmt.Sprintf("lock \"busy\": held by %s, process %d, token %d\n", hostname(t), holder.cmd.Process.Pid, n); !strings.HasSuffix(stderr, want) {
			t.Errorf("%v: %q, want %q", args, stderr, want)
		}
	}
	holder.say("end")
	holder.wait()
	for _, args := range [][]string{{"--try"}, {"--wait", "1m"}} {
		if got := succeed(t, append(append([]string{"lock", "run", "busy"}, args...), "--", "echo", "ran")...); got != "ran\n" {
			t.Errorf("%v: %q", args, got)
		}
	}
}

func TestSignalWhileWaitingLeavesNothing(t *testing.T) {
	t.Parallel()
	holder := launch(t, nil, append([]string{"lock", "--prefix", "waiters", "queue"}, untilLine...)...)
	holder.await("started")
	before := keysOf(t, shared.client, "waiters/")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		waiter := launch(t, nil, "lock", "--prefix", "waiters", "queue", "--", "true")
		waiter.awaitNote("waiting")
		waiter.signal(syscall.SIGUSR1) // means nothing to one that waits
		waiter.signal(sig)
		if status := waiter.wait(); status != 128+int(sig) {
			t.Errorf("%v: status %d: %s", sig, status, waiter.err.all())
		}
		if after := keysOf(t, shared.client, "waiters/"); len(after) != len(before) {
			t.Errorf("%v: left behind: %q, before %q", sig, after, before)
		}
	}
}

func TestHoldWithoutCommand(t *testing.T) {
	t.Parallel()
	holder := launch(t, nil, "lock", "--prefix", "idle", "held")
	key := holder.await("idle/lock/held/@/")
	holder.awaitNote(`lock "held" is held, token`)
	if keys := keysOf(t, shared.client, key); len(keys) != 1 {
		t.Errorf("keys %q", keys)
	}
	holder.signal(syscall.SIGINT)
	if status := holder.wait(); status != 0 {
		t.Errorf("status %d: %s", status, holder.err.all())
	}
	if keys := keysOf(t, shared.client, "idle/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
	if _, stderr, status := etcdkit(t, "lock", "held", "--"); status != statusOwn || !strings.Contains(stderr, "the command after -- is missing") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestExactKeyIsTheLineOfEtcdctl(t *testing.T) {
	t.Parallel()
	s, err := concurrency.NewSession(shared.client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	theirs := concurrency.NewMutex(s, "/legacy/jobs") // what etcdctl lock does
	if err := theirs.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours := launch(t, nil, append([]string{"lock", "--exact-key", "/legacy/jobs"}, untilLine...)...)
	ours.awaitNote("held by the owner of key " + theirs.Key())
	if err := theirs.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours.await("started")
	if err := theirs.TryLock(t.Context()); err != concurrency.ErrLocked { //nolint:errorlint // etcd returns it as it is
		t.Errorf("theirs: %v", err)
	}
	if got := succeed(t, "lock", "owners", "--exact-key", "/legacy/jobs"); !strings.Contains(got, "/legacy/jobs/") {
		t.Errorf("owners: %s", got)
	}
}

func TestTTLBelowTheMinimumIsReported(t *testing.T) {
	t.Parallel()
	stdout, stderr, status := etcdkit(t, "lock", "ttl", "--ttl", "100ms", "--", "echo", "ran")
	if status != 0 || stdout != "ran\n" || stderr != "etcdkit: --ttl 100ms: the server granted 1s\n" {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
}
