// Package process runs etcd members as processes of their own, built from the module that the tests are pinned to: for what cannot be done to
// a member inside the test, which is to kill it, to stop it in the middle of anything, and to measure it with its own disk and ticks.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// Start starts so many members with etcd's own defaults (fsync, 100 ms ticks, 1 s elections), and these flags, and returns when they
// serve. Close ends them.
func Start(size int, flags ...string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "etcd-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	var initial []string
	for i := range size {
		m := &member{name: fmt.Sprintf("m%d", i)}
		urls, err := freeURLs(2)
		if err != nil {
			c.Close()
			return nil, err
		}
		m.client, m.peer = urls[0], urls[1]
		initial = append(initial, m.name+"="+m.peer)
		c.members = append(c.members, m)
	}
	for i, m := range c.members {
		m.args = append([]string{
			"--name", m.name, "--data-dir", filepath.Join(dir, m.name), "--log-level", "error",
			"--listen-client-urls", m.client, "--advertise-client-urls", m.client,
			"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer,
			"--initial-cluster", strings.Join(initial, ","),
		}, flags...)
		if err := c.launch(i); err != nil {
			c.Close()
			return nil, err
		}
	}
	if err := c.await(); err != nil {
		err = errors.Join(err, c.logs())
		c.Close()
		return nil, err
	}
	return c, nil
}

// freeURLs returns addresses of ports that were free a moment ago. Another process can be quicker; then Start fails.
func freeURLs(n int) ([]string, error) {
	var urls []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
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
	m.cmd.SysProcAttr = dieWithParent()
	if err := m.cmd.Start(); err != nil {
		return err
	}
	m.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(m.cmd, m.exited) // Kill waits for it
	return nil
}

// await returns when the cluster takes a write.
func (c *Cluster) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client, err := c.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := client.Put(try, "\x00up", "")
		cancel()
		if err == nil {
			_, err = client.Delete(ctx, "\x00up")
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("etcd does not serve: %w", err)
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
	for ctx.Err() == nil {
		for i, m := range c.members {
			try, cancel := context.WithTimeout(ctx, time.Second)
			status, err := client.Status(try, m.client)
			cancel()
			if err == nil && status.Leader == status.Header.MemberId {
				return i, nil
			}
		}
	}
	return 0, context.Cause(ctx)
}

// Close kills all members and removes their data.
func (c *Cluster) Close() {
	for i := range c.members {
		c.Kill(i)
	}
	_ = os.RemoveAll(c.dir)
}
