package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// act is a part of the demo.
type act struct {
	name string
	play func(ctx context.Context, s *stage, etcd *demoEtcd) error
	hint string // what to try then
}

// demoActs are all of them, in their order. The first is the one that is played unless another one is asked for.
var demoActs = []act{
	{"gateway", playGateway, `"etcdkit gateway --route /=web", and once or more often "etcdkit register web --addr ADDR -- SERVER"`},
	{"lock", playLock, `twice "etcdkit lock printer -- sleep 10"`},
	{"election", playElection, `twice "etcdkit elect boss -- sleep 100"`},
}

const allActs = "all"

// actsNamed returns what --demo asks for.
func actsNamed(name string) ([]act, error) {
	if name == allActs {
		return demoActs, nil
	}
	var names []string
	for _, a := range demoActs {
		if a.name == name {
			return []act{a}, nil
		}
		names = append(names, a.name)
	}
	return nil, fmt.Errorf("--demo=%s: must be %s or %s", name, strings.Join(names, ", "), allActs)
}

// runDemo starts an etcd and plays.
func runDemo(cmd *cobra.Command, acts []act) (err error) {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	dir, err := os.MkdirTemp("", "etcdkit-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st := &stage{out: cmd.OutOrStdout(), began: time.Now()}
	etcd, err := startDemoEtcd(ctx, filepath.Join(dir, "etcd"))
	if err != nil {
		return because(ctx, err)
	}
	defer etcd.kill()
	st.sayf("An etcd has started on %s, with its data in a temporary directory.\n", etcd.endpoint())
	for _, a := range acts {
		st.sayf("\n")
		if err := a.play(ctx, st, etcd); err != nil {
			return because(ctx, err)
		}
	}
	st.sayf("\nTry it yourself: \"etcdkit dev\" in one terminal, and in others\n")
	for _, a := range acts {
		st.sayf("  %s\n", a.hint)
	}
	if others := actsBut(acts); others != "" {
		st.sayf("There is more to see: %s.\n", others)
	}
	return st.write
}

// actsBut names the acts that were not played.
func actsBut(played []act) string {
	var names []string
	for _, a := range demoActs {
		if !slices.ContainsFunc(played, func(p act) bool { return p.name == a.name }) {
			names = append(names, `"etcdkit dev --demo=`+a.name+`"`)
		}
	}
	return strings.Join(names, ", ")
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
