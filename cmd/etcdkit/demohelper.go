package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// helper is a process of the demo that says when it is ready.
type helper struct {
	*child
	stdin   io.Closer // held, since some end when it is closed
	reading sync.WaitGroup
}

// startHelper starts one, and returns it with what it says after ready.
func startHelper(ctx context.Context, ready string, args ...string) (*helper, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = w.Close() }() // the process has its own
	cmd := exec.Command(self, args...)
	cmd.Env = withoutVariables(os.Environ()) // those of another etcd do not suit this one
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	h := new(helper)
	if h.stdin, err = cmd.StdinPipe(); err == nil {
		h.child, err = start(cmd)
	}
	if err != nil {
		_ = r.Close()
		return nil, "", fmt.Errorf("%s: %w", args[0], err)
	}
	said := make(chan string, 1)
	h.reading.Go(func() { listenFor(r, ready, said) })
	select {
	case text, ok := <-said:
		if ok {
			return h, text, nil
		}
		err = fmt.Errorf("%s has ended too early", args[0])
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	_ = w.Close() // or the reading would wait for us
	h.kill()
	return nil, "", err
}

// listenFor tells what comes after ready in the first line that begins with it, and reads on to the end, so that nobody has to wait.
func listenFor(r io.ReadCloser, ready string, said chan<- string) {
	defer func() { _ = r.Close() }()
	defer close(said)
	told := false
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), ready); ok && !told {
			said <- text
			told = true
		}
	}
}

// kill ends it at once, and waits for that.
func (h *helper) kill() {
	h.child.kill()
	h.wait()
}

func (h *helper) wait() {
	<-h.done
	_ = h.stdin.Close() // nobody reads from it any more
	h.reading.Wait()
}

// demoEtcd is an etcd in a process of its own, which can be killed and started again where it was.
type demoEtcd struct {
	*helper
	dir  string
	port int
}

const (
	etcdWorker = "demo-etcd"
	etcdReady  = "etcd is ready on "
)

func startDemoEtcd(ctx context.Context, dir string) (*demoEtcd, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	e := &demoEtcd{dir: dir, port: port}
	return e, e.start(ctx)
}

func (e *demoEtcd) start(ctx context.Context) error {
	h, _, err := startHelper(ctx, etcdReady, etcdWorker, e.dir, strconv.Itoa(e.port))
	if err == nil {
		e.helper = h // else the last one, which has ended, is to be killed
	}
	return err
}

func (e *demoEtcd) endpoint() string { return fmt.Sprintf("127.0.0.1:%d", e.port) }

// newDemoEtcd is the process.
func newDemoEtcd() *cobra.Command {
	return &cobra.Command{
		Use:    etcdWorker + " DIR PORT",
		Short:  "The etcd of the demo",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			port, err := strconv.Atoi(args[1])
			if err != nil {
				return err
			}
			s, err := startServerAt(args[0], port, func(cfg *embed.Config) {
				cfg.TickMs, cfg.ElectionMs = 10, 100 // a single member elects itself: no need to wait a second for that
				cfg.UnsafeNoFsync = true             // a process that is killed loses nothing by that
			})
			if err != nil {
				return err
			}
			defer s.close()
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), etcdReady+s.endpoint()); err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, cmd.InOrStdin()) // it ends with the parent, however that ends
			return err
		},
	}
}
