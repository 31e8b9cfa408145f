package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"etcdkit/discovery"
	"etcdkit/session"
)

// enroll registers an instance from this process.
func enroll(t *testing.T, prefix, service string, inst discovery.Instance) *discovery.Registration {
	t.Helper()
	s := session.New(shared.client, session.WithPrefix(prefix))
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	reg, err := discovery.Register(t.Context(), s, service, inst)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

var runs atomic.Int64

// fresh is a prefix under which nothing is left of an earlier run.
func fresh(name string) string { return fmt.Sprintf("%s-%d", name, runs.Add(1)) }

func TestServicesAreListed(t *testing.T) {
	t.Parallel()
	prefix := fresh("listed")
	args := func(more ...string) []string { return append([]string{"services", "--prefix", prefix}, more...) }
	if got := succeed(t, args("-o", "json")...); got != "[]\n" {
		t.Errorf("none: %q", got)
	}
	if got := succeed(t, args("ls", "app/api", "-o", "json")...); got != "[]\n" {
		t.Errorf("of none: %q", got)
	}
	enroll(t, prefix, "app/api", discovery.Instance{
		ID: "one", Addr: "10.0.0.1:80", Zone: "b", Weight: 3, Version: "v7", Protocol: "https",
		Ports: map[string]int{"metrics": 9090, "admin": 81}, Labels: map[string]string{"x": "y"},
	})
	two := enroll(t, prefix, "app/api", discovery.Instance{ID: "two", Addr: "10.0.0.2:80"})
	if err := two.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	enroll(t, prefix, "web", discovery.Instance{ID: "odd", Addr: "10.0.0.3:80", Version: "\x1b[2J"})
	if _, err := shared.client.Put(t.Context(), prefix+"/discovery/web/@/broken", "{"); err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"app/api","instances":1,"draining":1,"unhealthy":0,"skipped":0},{"name":"web","instances":1,"draining":0,"unhealthy":0,"skipped":1}]` + "\n"
	for _, ls := range [][]string{{"-o", "json"}, {"ls", "-o", "json"}} {
		if got := succeed(t, args(ls...)...); got != want {
			t.Errorf("%v: %s", ls, got)
		}
	}
	if got := succeed(t, args()...); !strings.HasPrefix(got, "NAME     INSTANCES  DRAINING") || strings.Count(got, "\n") != 3 {
		t.Errorf("table: %s", got)
	}
	want = `[{"id":"one","addr":"10.0.0.1:80","ports":{"admin":81,"metrics":9090},"zone":"b","weight":3,"version":"v7","protocol":"https","labels":{"x":"y"},"state":"serving"},` +
		`{"id":"two","addr":"10.0.0.2:80","state":"draining"}]` + "\n"
	if got := succeed(t, args("ls", "app/api", "-o", "json")...); got != want {
		t.Errorf("instances: %s", got)
	}
	if got := strings.Join(strings.Fields(succeed(t, args("ls", "app/api")...)), " "); !strings.Contains(got, "one 10.0.0.1:80 serving b 3 v7 https admin=81,metrics=9090 x=y two 10.0.0.2:80 draining - 1 - - - -") {
		t.Errorf("table: %s", got)
	}
	stdout, stderr, _ := etcdkit(t, args("ls", "web")...)
	if !strings.Contains(stdout, `"\x1b[2J"`) || !strings.Contains(stderr, "1 keys are no instance") {
		t.Errorf("what others say: %q, %q", stdout, stderr)
	}
}

func TestServiceDrain(t *testing.T) {
	t.Parallel()
	prefix := fresh("drained")
	reg := enroll(t, prefix, "api", discovery.Instance{ID: "one", Addr: "10.0.0.1:80"})
	for range 2 {
		if got := succeed(t, "services", "drain", "--prefix", prefix, "api", "one"); got != "draining one\n" {
			t.Errorf("%q", got)
		}
	}
	if got := succeed(t, "services", "drain", "--prefix", prefix, "api", "one", "-o", "json"); got != `{"service":"api","id":"one"}`+"\n" {
		t.Errorf("%q", got)
	}
	eventually(t, "the instance learns of it", reg.Draining)
	complaint{"nobody", []string{"services", "drain", "api", "nobody"}, statusNobody, []string{`drain "nobody"`, "no instance has this ID"}}.check(t, shared.endpoint)
}

func TestServiceWatch(t *testing.T) {
	t.Parallel()
	prefix := fresh("watched")
	first := enroll(t, prefix, "api", discovery.Instance{ID: "one", Addr: "10.0.0.1:80"})
	p := launch(t, nil, "services", "watch", "--prefix", prefix, "api")
	p.await("serving    one at 10.0.0.1:80")
	second := enroll(t, prefix, "api", discovery.Instance{ID: "two", Addr: "10.0.0.2:80"})
	p.await("joined     two at 10.0.0.2:80")
	if err := second.Update(t.Context(), discovery.Instance{Addr: "10.0.0.2:81"}); err != nil {
		t.Fatal(err)
	}
	p.await("updated    two at 10.0.0.2:81")
	if err := first.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.await("draining   one at 10.0.0.1:80")
	if err := first.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.await("left       one at 10.0.0.1:80")
	p.signal(syscall.SIGINT)
	if status := p.wait(); status != 0 || p.err.all() != "" {
		t.Errorf("status %d, %q", status, p.err.all())
	}
}

func TestServiceWatchInJSON(t *testing.T) {
	t.Parallel()
	prefix := fresh("watchedjson")
	p := launch(t, nil, "services", "watch", "--prefix", prefix, "api", "-o", "json")
	p.awaitNote(`service "api": nobody is registered`)
	enroll(t, prefix, "api", discovery.Instance{ID: "one", Addr: "10.0.0.1:80", Zone: "b"})
	var got struct {
		Event    string
		Revision int64
		Instance struct{ ID, Addr, Zone, State string }
	}
	line := p.await("{")
	if err := json.Unmarshal([]byte(line), &got); err != nil || got.Event != "joined" || got.Revision == 0 || got.Instance.ID != "one" ||
		got.Instance.Zone != "b" || got.Instance.State != "serving" {
		t.Errorf("%s: %v", line, err)
	}
}

// TestServiceWatchWhileEtcdIsSilent: nobody leaves, and it says so.
func TestServiceWatchWhileEtcdIsSilent(t *testing.T) {
	t.Parallel()
	etcd, endpoint := startDev(t, t.TempDir())
	reg := launch(t, nil, "--endpoints", endpoint, "register", "api", "--addr", "10.0.0.1:80", "--id", "one", "--ttl", "60s")
	reg.awaitNote("is registered as one")
	p := launch(t, nil, "--endpoints", endpoint, "services", "watch", "api")
	p.await("serving    one")
	etcd.signal(syscall.SIGSTOP)
	p.await("not certain since")
	etcd.signal(syscall.SIGCONT)
	p.await("certain again")
	if got := p.out.all(); strings.Contains(got, "left") {
		t.Errorf("it left: %s", got)
	}
	reg.signal(syscall.SIGTERM)
	p.await("left       one")
	if status := reg.wait(); status != 0 {
		t.Errorf("status %d: %s", status, reg.err.all())
	}
}

func TestCompletionOfServices(t *testing.T) {
	t.Parallel()
	prefix := fresh("completed")
	enroll(t, prefix, "api", discovery.Instance{ID: "one", Addr: "10.0.0.1:80"})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"services", "ls", ""}, "api\n:4\n"},
		{[]string{"services", "watch", "a"}, "api\n:4\n"},
		{[]string{"services", "drain", "b"}, ":4\n"},
		{[]string{"services", "drain", "api", ""}, "one\n:4\n"},
		{[]string{"register", ""}, "api\n:4\n"},
	} {
		args := append([]string{"__complete", c.args[0], "--prefix", prefix}, c.args[1:]...)
		if stdout, _, status := etcdkit(t, args...); status != 0 || stdout != c.want {
			t.Errorf("%v: status %d, %q", c.args, status, stdout)
		}
	}
}
