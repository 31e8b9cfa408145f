package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stateIn returns the state of an instance, "" if it is not in the list.
func stateIn(t *testing.T, prefix, service, id string) string {
	t.Helper()
	for _, line := range strings.Split(succeed(t, "services", "ls", "--prefix", prefix, service), "\n") {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == id {
			return fields[2]
		}
	}
	return ""
}

func TestRegisterWhileHealthy(t *testing.T) {
	t.Parallel()
	prefix := fresh("health")
	watch := launch(t, nil, "services", "watch", "--prefix", prefix, "api")
	watch.awaitNote("nobody is registered")
	p, _ := startBackend(t, prefix, "one")
	awaitServing(watch, "one")
	p.await("serving api one")
	p.say("ill")
	p.awaitNote(`unhealthy: service "api": it gets no requests: GET http://127.0.0.1:`)
	watch.await("unhealthy  one")
	p.say("well")
	p.awaitNote(`etcdkit: healthy: service "api": it gets requests`)
	awaitServing(watch, "one")
	p.say("exit 7")
	watch.await("left       one")
	if status := p.wait(); status != 7 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	if keys := keysOf(t, shared.client, prefix+"/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// TestRegisterDrainsFirst: the command gets the signal only when all have noticed.
func TestRegisterDrainsFirst(t *testing.T) {
	t.Parallel()
	prefix := fresh("drains")
	watch := launch(t, nil, "services", "watch", "--prefix", prefix, "api")
	p, _ := startBackend(t, prefix, "one", "--drain-time", "1h")
	awaitServing(watch, "one")
	p.signal(syscall.SIGTERM)
	p.awaitNote(`draining: service "api"`)
	watch.await("draining   one")
	if got := p.out.all(); strings.Contains(got, "told") {
		t.Errorf("it is told before: %q", got)
	}
	p.signal(syscall.SIGTERM) // and now at once
	p.await("told")
	watch.await("left       one")
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
}

func TestRegisterPassesTheSignalOnAfterTheDrainTime(t *testing.T) {
	t.Parallel()
	prefix := fresh("draintime")
	p, _ := startBackend(t, prefix, "one", "--drain-time", "300ms")
	began := time.Now()
	p.signal(syscall.SIGINT) // the server has no handler for it
	if status := p.wait(); status != 128+2 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("after %v", took)
	}
	if keys := keysOf(t, shared.client, prefix+"/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

func TestRegisterIsToldOfADrain(t *testing.T) {
	t.Parallel()
	prefix := fresh("toldofdrain")
	p, _ := startBackend(t, prefix, "one")
	succeed(t, "services", "drain", "--prefix", prefix, "api", "one")
	p.awaitNote(`draining: service "api": somebody has asked for it`)
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
}

func TestRegisterWithoutCommand(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "register", "--prefix", "alone", "db", "--addr", "10.0.0.1:5432", "--id", "one")
	p.awaitNote(`service "db": 10.0.0.1:5432 is registered as one`)
	if got := stateIn(t, "alone", "db", "one"); got != "serving" {
		t.Errorf("it is %q", got)
	}
	p.signal(syscall.SIGUSR1) // means nothing
	p.signal(syscall.SIGINT)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	if got := stateIn(t, "alone", "db", "one"); got != "" {
		t.Errorf("it is %q", got)
	}
}

func TestRegisterChecksByACommandOrAConnection(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "well")
	p := launch(t, nil, "register", "--prefix", "exec", "db", "--addr", "10.0.0.1:1", "--id", "one", "--interval", "50ms", "--exec", "cat "+file)
	p.awaitNote("unhealthy: service \"db\": it gets no requests: cat " + file + ": exit status 1: cat: ")
	write(t, file)
	p.awaitNote("etcdkit: healthy:")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.awaitNote("unhealthy:")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = launch(t, nil, "register", "--prefix", "exec", "db", "--addr", "10.0.0.1:2", "--id", "two", "--interval", "50ms", "--check", "tcp://"+listener.Addr().String())
	p.awaitNote("etcdkit: healthy:")
	listener.Close()
	p.awaitNote("unhealthy:")
}

// TestRegisterEndsASlowCheck with all that it started.
func TestRegisterEndsASlowCheck(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "register", "--prefix", "slowcheck", "db", "--addr", "10.0.0.1:1", "--timeout", "100ms", "--exec", "sleep 1000 & echo child $! >&2; wait")
	p.awaitNote("unhealthy: service \"db\": it gets no requests: no answer within 100ms")
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
}

func TestKilledRegistrationIsForgotten(t *testing.T) {
	t.Parallel()
	prefix := fresh("killedone")
	const ttl = 2 * time.Second
	watch := launch(t, nil, "services", "watch", "--prefix", prefix, "api")
	p, addr := startBackend(t, prefix, "one")
	awaitServing(watch, "one")
	began := time.Now()
	p.signal(syscall.SIGKILL)
	watch.await("left       one")
	if took := time.Since(began); took > ttl+1500*time.Millisecond {
		t.Errorf("forgotten after %v", took)
	}
	<-p.done // its output is closed: the server is gone as well
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the server is left")
	}
}

func TestRegisterTakesAnIDOver(t *testing.T) {
	t.Parallel()
	prefix := fresh("takeover")
	args := func(addr string, more ...string) []string {
		return append([]string{"register", "--prefix", prefix, "api", "--id", "one", "--addr", addr}, more...)
	}
	first := launch(t, nil, args("10.0.0.1:1")...)
	first.awaitNote("is registered as one")
	complaint{"taken", append(args("10.0.0.1:2"), "--", "echo", "ran"), statusOwn, []string{`discovery "api": register "one"`, `"one" is registered for "10.0.0.1:1"`}}.check(t, shared.endpoint)
	second := launch(t, nil, args("10.0.0.1:2", "--takeover")...)
	second.awaitNote("is registered as one")
	first.awaitNote("not certain to be registered: discovery \"api\": ")
	first.signal(syscall.SIGTERM)
	if status := first.wait(); status != 0 {
		t.Errorf("status %d: %s", status, first.err.all())
	}
	if got := succeed(t, "services", "ls", "--prefix", prefix, "api"); !strings.Contains(got, "10.0.0.1:2") {
		t.Errorf("the list: %s", got)
	}
}

func TestCommandSeesTheRegistration(t *testing.T) {
	t.Parallel()
	out := succeed(t, "register", "environment", "--id", "x", "--addr", "10.0.0.1:80", "--", "sh", "-c", `echo "$ETCDKIT_SERVICE $ETCDKIT_INSTANCE $ETCDKIT_ADDR $0 $@"`, "zero", "--one")
	if out != "environment x 10.0.0.1:80 zero --one\n" {
		t.Errorf("it sees %q", out)
	}
	_, _, status := etcdkit(t, "register", "environment", "--addr", "10.0.0.1:80", "--", "no-such-command")
	if status != statusNotFound {
		t.Errorf("status %d", status)
	}
	for script, want := range map[string]int{"exit 9": 9, "kill -9 $$": 128 + 9} {
		if _, stderr, status := etcdkit(t, "register", "environment", "--addr", "10.0.0.1:80", "--", "sh", "-c", script); status != want {
			t.Errorf("%s: status %d, %q", script, status, stderr)
		}
	}
}

func TestBadRegistrations(t *testing.T) {
	t.Parallel()
	register := func(more ...string) []string {
		return append(append([]string{"register", "--prefix", "badregistrations", "api"}, more...), "--", "echo", "ran")
	}
	for _, c := range []complaint{
		{"no name", []string{"register", "--addr", "a:1", "--", "echo"}, statusOwn, []string{"the name of the service is missing"}},
		{"empty name", []string{"register", "", "--addr", "a:1", "--", "echo"}, statusOwn, []string{"it is empty"}},
		{"no address", register(), statusOwn, []string{"--addr is missing", `see "etcdkit register --help"`}},
		{"no port", register("--addr", "10.0.0.7"), statusOwn, []string{`addr "10.0.0.7": must be host:port`}},
		{"no host", register("--addr", ":80"), statusOwn, []string{`addr ":80"`, "host is empty"}},
		{"weight", register("--addr", "a:1", "--weight", "-1"), statusOwn, []string{"weight -1: must be from 0 to"}},
		{"further port", register("--addr", "a:1", "--port", "metrics=70000"), statusOwn, []string{`"metrics": 70000`}},
		{"no further port", register("--addr", "a:1", "--port", "metrics"), statusOwn, []string{"metrics must be formatted as key=value"}},
		{"id", register("--addr", "a:1", "--id", "a/b"), statusOwn, []string{`"a/b"`}},
		{"label", register("--addr", "a:1", "--label", "=x"), statusOwn, []string{`"=x"`, "empty"}},
		{"check", register("--addr", "a:1", "--check", "localhost/healthz"), statusOwn, []string{`--check "localhost/healthz"`, "http://"}},
		{"check of what", register("--addr", "a:1", "--check", "ftp://localhost"), statusOwn, []string{`must begin with http://`}},
		{"check without port", register("--addr", "a:1", "--check", "tcp://localhost"), statusOwn, []string{`tcp://HOST:PORT`}},
		{"both", register("--addr", "a:1", "--check", "tcp://a:1", "--exec", "true"), statusOwn, []string{"--check and --exec exclude each other"}},
		{"interval", register("--addr", "a:1", "--interval", "0s"), statusOwn, []string{"--interval 0s"}},
		{"timeout", register("--addr", "a:1", "--timeout", "-1s"), statusOwn, []string{"--timeout -1s"}},
		{"drain time", register("--addr", "a:1", "--drain-time", "-1s"), statusOwn, []string{"--drain-time"}},
		{"TTL", register("--addr", "a:1", "--ttl", "0s"), statusOwn, []string{"TTL 0s"}},
		{"dashes", []string{"register", "api", "sh", "-c", "echo hi"}, statusOwn, []string{`put "--" before the command (api -- sh ...)`}},
	} {
		c.check(t, shared.endpoint)
	}
	if keys := keysOf(t, shared.client, "badregistrations/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
	mute := newMute(t)
	complaint{
		"mute",
		[]string{"--endpoints", mute, "--command-timeout", "500ms", "register", "a", "--addr", "a:1", "--", "echo"},
		statusOwn,
		[]string{fmt.Sprintf("no answer from etcd at %s within 500ms", mute)},
	}.checkAlone(t)
}

// TestRegisterWhileEtcdIsSilent for longer than the TTL: the command runs on, and is registered again with the same ID.
func TestRegisterWhileEtcdIsSilent(t *testing.T) {
	t.Parallel()
	etcd, endpoint := startDev(t, t.TempDir())
	p := launch(t, nil, "--endpoints", endpoint, "register", "api", "--addr", "10.0.0.1:80", "--id", "one", "--ttl", "2s", "--", "sh", "-c", "echo ready; read line; echo $line")
	p.await("ready")
	p.awaitNote("etcdkit: healthy:")
	etcd.signal(syscall.SIGSTOP)
	p.awaitNote("not certain to be registered")
	etcd.signal(syscall.SIGCONT)
	p.awaitNote("registered again")
	if got := succeed(t, "--endpoints", endpoint, "services", "ls", "api", "-o", "json"); !strings.Contains(got, `"id":"one"`) {
		t.Errorf("the list: %s", got)
	}
	etcd.signal(syscall.SIGSTOP)
	began := time.Now()
	p.say("end")
	p.await("end")
	p.awaitNote("the list forgets it when the TTL has run out")
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
