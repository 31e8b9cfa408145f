package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// runDemo shows a lock and an election at work: an etcd, three processes for each, and the crash of one that holds the lock, and of one
// that leads.
func runDemo(cmd *cobra.Command) (err error) {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	dir, err := os.MkdirTemp("", "etcdkit-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st := &stage{out: cmd.OutOrStdout(), began: time.Now()}
	st.sayf("A lock in etcd, three processes that take turns on it, and a crash. Then an election, and another crash.\n\n")
	s, err := startServer(dir, false, func(cfg *embed.Config) {
		cfg.TickMs, cfg.ElectionMs = 10, 100 // a single member elects itself: no need to wait a second for that
		cfg.UnsafeNoFsync = true             // nothing is kept
	})
	if err != nil {
		return err
	}
	defer s.close()
	st.sayf("An etcd has started on %s, with its data in a temporary directory.\n", s.endpoint())
	for _, act := range []func(context.Context, *stage, string) error{playLock, playElection} {
		if err := act(ctx, st, s.endpoint()); err != nil {
			return because(ctx, err)
		}
	}
	st.sayf(`
Try it yourself: "etcdkit dev" in one terminal, and in two others "etcdkit lock printer -- sleep 10", or
"etcdkit elect boss -- sleep 100".
`)
	return st.write
}

// stage is where the demo tells what happens.
type stage struct {
	out   io.Writer
	write error // the first failure to write
	began time.Time
}

func (s *stage) sayf(format string, args ...any) {
	if _, err := fmt.Fprintf(s.out, format, args...); err != nil && s.write == nil {
		s.write = err
	}
}

// linef is a line with the time since the start.
func (s *stage) linef(who, format string, args ...any) {
	s.sayf("%6.2f s  %-4s %s\n", time.Since(s.began).Seconds(), who, fmt.Sprintf(format, args...))
}

// introduce names the processes that have started.
func (s *stage) introduce(what string, crew *crew) {
	s.sayf("%s have started, each a process of its own:", what)
	for _, w := range crew.workers {
		s.sayf(" %s (%d)", w.name, w.cmd.Process.Pid)
	}
	s.sayf(".\n")
}
