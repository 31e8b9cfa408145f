// Package process runs etcd members as processes of their own, built from the module that the tests are pinned to: for what cannot be done to
// a member inside the test, which is to kill it, to stop it in the middle of anything, and to measure it with its own disk and ticks.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Cluster is a set of etcd processes. It is not safe for concurrent use.
type Cluster struct {
	dir     string
	members []*member
}

type member struct {
	name         string
	args         []string
	client, peer string // URLs
	cmd          *exec.Cmd
	exited       chan struct{}
	log          *bytes.Buffer
}

// binary is where etcd was built, once for this process.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "etcd-binary-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "etcd")
	out, err := exec.Command("go", "build", "-o", path, "go.etcd.io/etcd/server/v3").CombinedOutput()
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("building etcd: %w\n%s", err, out)
	}
	return path, nil
})

// Clean removes the binary. It is for the end of the process.
func Clean() {
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

// Start starts so many members with etcd's own defaults (fsync, 100 ms ticks, 1 s elections), and these flags, and returns when all of them
// serve. Close ends them.
func Start(size int, flags ...string) (*Cluster, error) {
	var all error
	for range 3 { // another process can be quicker to take a port
		c, err := start(size, flags...)
		if err == nil {
			return c, nil
		}
		all = errors.Join(all, err)
	}
	return nil, all
}

func start(size int, flags ...string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "etcd-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := c.begin(size, flags); err != nil {
		err = errors.Join(err, c.logs())
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) begin(size int, flags []string) error {
	urls, err := freeURLs(2 * size)
	if err != nil {
		return err
	}
	var initial []string
	for i := range size {
		m := &member{name: fmt.Sprintf("m%d", i), client: urls[2*i], peer: urls[2*i+1]}
		initial = append(initial, m.name+"="+m.peer)
		c.members = append(c.members, m)
	}
	for i, m := range c.members {
		m.args = append([]string{
			"--name", m.name, "--data-dir", filepath.Join(c.dir, m.name), "--log-level", "error",
			"--listen-client-urls", m.client, "--advertise-client-urls", m.client,
			"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer,
			"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", c.dir, // members of two clusters refuse each other
		}, flags...)
		if err := c.launch(i); err != nil {
			return err
		}
	}
	return c.await()
}

// freeURLs returns addresses of ports that were free a moment ago. They are below those that the system gives out by itself, so that nobody
// gets the port of a member that is down, and drawn, so that two clusters hardly ever get the same; Start finds out if they do.
func freeURLs(n int) ([]string, error) {
	var urls []string
	for tries := 0; len(urls) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000)))
		if err != nil && tries < 100 {
			continue // it is taken
		}
		if err != nil {
			return nil, err
		}
		defer l.Close() // all of them stay taken until the last is known
		urls = append(urls, "http://"+l.Addr().String())
	}
	return urls, nil
}

func (c *Cluster) launch(i int) error {
	path, err := binary()
	if err != nil {
		return err
	}
	m := c.members[i]
	m.log = new(bytes.Buffer)
	m.cmd = exec.Command(path, m.args...)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.cmd.SysProcAttr = Apart()
	if err := m.cmd.Start(); err != nil {
		return err
	}
	m.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(m.cmd, m.exited) // Kill waits for it
	return nil
}

// await returns when every member takes a write and is one of ours.
func (c *Cluster) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var cluster uint64
	for _, m := range c.members {
		id, err := m.await(ctx)
		if err != nil {
			return err
		}
		if cluster != 0 && id != cluster {
			return fmt.Errorf("at %s is a member of another cluster", m.client)
		}
		cluster = id
	}
	return nil
}

// await returns the id of the member's cluster when it takes a write.
func (m *member) await(ctx context.Context) (uint64, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{m.client}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		resp, err := client.Put(try, "\x00up", "")
		cancel()
		select {
		case <-m.exited:
			return 0, errors.New("a member has ended")
		default:
		}
		if err == nil {
			_, err = client.Delete(ctx, "\x00up")
			return resp.Header.ClusterId, err
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("etcd does not serve: %w", err)
		}
	}
}

func (c *Cluster) logs() error {
	var all []error
	for _, m := range c.members {
		if m.exited == nil {
			continue
		}
		select {
		case <-m.exited: // else its log is still being written
			all = append(all, fmt.Errorf("%s has ended: %s", m.name, m.log))
		default:
		}
	}
	return errors.Join(all...)
}

// Client returns a plain client of all members.
func (c *Cluster) Client() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
}

// Endpoints are the client addresses of all members. A member keeps its own when it starts again.
func (c *Cluster) Endpoints() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.client)
	}
	return all
}

// Kill ends a member with SIGKILL, and waits until it is gone.
func (c *Cluster) Kill(i int) {
	m := c.members[i]
	if m.exited == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	<-m.exited
}

// Restart starts a killed member again on its data.
func (c *Cluster) Restart(i int) error { return c.launch(i) }

// Stop freezes a member with SIGSTOP, in the middle of whatever it does.
func (c *Cluster) Stop(i int) error { return c.members[i].cmd.Process.Signal(syscall.SIGSTOP) }

// Continue lets a frozen member go on.
func (c *Cluster) Continue(i int) error { return c.members[i].cmd.Process.Signal(syscall.SIGCONT) }

// Leader returns the member that all the others follow.
func (c *Cluster) Leader(ctx context.Context) (int, error) {
	client, err := c.Client()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	said := make([]string, len(c.members)) // for the error
	for ctx.Err() == nil {
		for i, m := range c.members {
			try, cancel := context.WithTimeout(ctx, time.Second)
			status, err := client.Status(try, m.client)
			cancel()
			switch {
			case ctx.Err() != nil:
			case err != nil:
				said[i] = err.Error()
			case status.Leader == status.Header.MemberId:
				return i, nil
			default:
				said[i] = fmt.Sprintf("in term %d %x follows %x", status.RaftTerm, status.Header.MemberId, status.Leader)
			}
		}
	}
	none := fmt.Errorf("no leader: %w (the members said: %s)", context.Cause(ctx), strings.Join(said, "; "))
	return 0, errors.Join(none, c.logs())
}

// Close kills all members and removes their data.
func (c *Cluster) Close() {
	for i := range c.members {
		c.Kill(i)
	}
	_ = os.RemoveAll(c.dir)
}
