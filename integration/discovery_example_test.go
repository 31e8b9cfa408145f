package integration

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// serving is an example that runs.
type serving struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines *bufio.Scanner
	ended chan error
}

func startProgram(t *testing.T, path, endpoint string, args ...string) *serving {
	t.Helper()
	p := &serving{t: t, cmd: exec.CommandContext(soon(t), path, args...), ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "ETCDKIT_ENDPOINTS="+endpoint)
	out, in := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		p.ended <- p.cmd.Wait()
		_ = in.Close() // which ends the scanner
	}()
	p.lines = bufio.NewScanner(out)
	return p
}

// says waits for a line with all these words, and then lets the program talk on.
func (p *serving) says(words ...string) {
	p.t.Helper()
line:
	for p.lines.Scan() {
		for _, word := range words {
			if !strings.Contains(p.lines.Text(), word) {
				continue line
			}
		}
		return
	}
	p.t.Fatalf("%s never said %q", p.cmd.Path, words)
}

// drain reads what the program says from now on, so that it can.
func (p *serving) drain() {
	go func() {
		for p.lines.Scan() {
		}
	}()
}

func (p *serving) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

func built(t *testing.T, example string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(example))
	root(t, "build", "-o", path, "./examples/"+example)
	return path
}

// TestExampleDiscovery has the example's client ask two servers, of which one leaves.
func TestExampleDiscovery(t *testing.T) {
	t.Parallel()
	endpoint := cluster.SharedEndpoints()[0]
	server, client := built(t, "discovery/server"), built(t, "discovery/client")
	a, b := startProgram(t, server, endpoint, "-zone", "east"), startProgram(t, server, endpoint, "-zone", "west")
	a.says("msg=registered")
	b.says("msg=registered")
	c := startProgram(t, client, endpoint, "-every", "20ms", "-last-good", filepath.Join(t.TempDir(), "last"))
	c.says("answer", "east")
	c.says("answer", "west")
	a.signal(syscall.SIGTERM)
	c.says("now=1", "removed")
	a.says("msg=deregistered", "error=<nil>")
	a.drain()
	if err := <-a.ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	c.says("answer", "west")
	c.signal(syscall.SIGTERM)
	c.drain()
	if err := <-c.ended; err != nil {
		t.Errorf("the client ended with %v", err)
	}
	b.signal(syscall.SIGTERM)
	b.drain()
	if err := <-b.ended; err != nil {
		t.Errorf("the other server ended with %v", err)
	}
}

// TestDiscoveryKilledAndFrozen servers are gone when their leases are, and who wakes up is the same as before (F1, F2).
func TestDiscoveryKilledAndFrozen(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	server, endpoint := built(t, "discovery/server"), c.Endpoints()[0]
	client := c.Client(t)
	s := session.New(client, session.WithPrefix("examples"))
	t.Cleanup(func() { _ = s.Close(soon(t)) })
	v := mustView(t, s, "hello")
	ref := newReferee(t, client, "examples/discovery/hello/@/")
	var all []*serving
	for _, id := range []string{"a", "b", "c"} {
		p := startProgram(t, server, endpoint, "-id", id, "-ttl", "2s")
		p.says("msg=registered")
		p.drain()
		all = append(all, p)
	}
	awaitIDs(t, v, "a b c")
	killed := time.Now()
	all[0].signal(syscall.SIGKILL)
	awaitIDs(t, v, "b c")
	if took := time.Since(killed); took > 6*time.Second { // 3.5 s on a machine of its own
		t.Errorf("a killed one was there for %v", took)
	}
	all[1].signal(syscall.SIGSTOP)
	awaitIDs(t, v, "c")
	all[1].signal(syscall.SIGCONT)
	awaitIDs(t, v, "b c")
	all[2].signal(syscall.SIGSTOP) // for a moment, which nobody sees
	time.Sleep(500 * time.Millisecond)
	all[2].signal(syscall.SIGCONT)
	mustPut(t, client, "examples/discovery/hello/@/end", "{}")
	seen := ref.until("the end", func(ev *clientv3.Event) bool { return strings.HasSuffix(string(ev.Kv.Key), "end") })
	for _, key := range deletedKeys(seen) {
		if strings.HasSuffix(key, "c") {
			t.Error("who was frozen for a moment was seen to leave")
		}
	}
	if _, err := discovery.List(soon(t), s, "hello"); err != nil {
		t.Error(err)
	}
	for _, p := range all[1:] {
		p.signal(syscall.SIGTERM)
		if err := <-p.ended; err != nil {
			t.Errorf("a server ended with %v", err)
		}
	}
	awaitIDs(t, v, "")
}
