package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"etcdkit/election"
	"etcdkit/session"
)

// crash is the time from kill -9 of the leader to the next one leading, at worst of five at once that are killed at different moments
// of their renewals.
func crash() []row {
	var all []row
	for _, ttl := range []time.Duration{2 * time.Second, 10 * time.Second} {
		all = append(all, row{
			name: fmt.Sprintf("election/crash/%v", ttl), unit: "s", lower: true, once: true,
			ours: func(b *bench) func(time.Duration) float64 {
				return takeover(b, ttl, "ours", func(name string) locker {
					s := session.New(b.client(), session.WithTTL(ttl))
					b.later(func() { _ = s.Close(background) })
					return ourCandidate(s, name)
				})
			},
			peer: func(b *bench) func(time.Duration) float64 {
				return takeover(b, ttl, "theirs", func(name string) locker {
					s, err := concurrency.NewSession(b.client(), concurrency.WithTTL(int(ttl/time.Second)))
					check(err)
					b.later(func() { _ = s.Close() })
					return theirCandidate(s, name)
				})
			},
			limit: func(*bench) func(time.Duration) float64 {
				return func(time.Duration) float64 { return ttl.Seconds() }
			},
		})
	}
	return all
}

// takeover kills five leaders and returns the time, in seconds, that the slowest successor took.
func takeover(b *bench, ttl time.Duration, whose string, candidate func(name string) locker) func(time.Duration) float64 {
	return func(time.Duration) float64 {
		const n = 5
		took := make(chan float64, n)
		for i := range n {
			name := b.name()
			leader := startLeader(b, whose, name, ttl)
			won := make(chan time.Time, 1)
			campaign := candidate(name)
			go func() {
				if _, err := campaign(); err == nil {
					won <- time.Now()
				}
			}()
			phase := ttl/3 + time.Duration(i)*ttl/15 // all over the time between two renewals
			time.AfterFunc(phase, func() {
				start := time.Now()
				_ = leader.Process.Kill()
				select {
				case at := <-won:
					took <- at.Sub(start).Seconds()
				case <-time.After(time.Minute):
					took <- 60
				}
			})
		}
		return slices.Max(each(n, func() float64 { return <-took }))
	}
}

// leaderVariable makes a process a leader to be killed.
const leaderVariable = "ETCDKIT_COMPARE_LEADER"

// startLeader starts this program again as the leader of an election, and returns when it leads.
func startLeader(b *bench, whose, name string, ttl time.Duration) *exec.Cmd {
	path, err := os.Executable()
	check(err)
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), leaderVariable+"="+strings.Join([]string{whose, name, ttl.String(), b.etcd.Endpoints()[0]}, " "))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(err)
	out, err := cmd.StdoutPipe()
	check(err)
	check(cmd.Start())
	b.later(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		check(fmt.Errorf("the leader did not come to lead: %w", err))
	}
	return cmd
}

// leadIfAsked makes this process a leader if it was started as one, until its standard input ends.
func leadIfAsked() {
	spec := strings.Fields(os.Getenv(leaderVariable))
	if len(spec) == 0 {
		return
	}
	if err := leadOn(spec[0], spec[1], spec[2], spec[3]); err != nil {
		fmt.Fprintln(os.Stderr, "leader:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func leadOn(whose, name, ttlText, endpoint string) error {
	ttl, err := time.ParseDuration(ttlText)
	if err != nil {
		return err
	}
	cfg := session.ClientConfig(endpoint)
	cfg.Logger = zap.NewNop()
	c, err := clientv3.New(cfg)
	if err != nil {
		return err
	}
	if whose == "ours" {
		_, err = election.New(session.New(c, session.WithTTL(ttl)), name).Campaign(background)
	} else {
		var s *concurrency.Session
		if s, err = concurrency.NewSession(c, concurrency.WithTTL(int(ttl/time.Second))); err == nil {
			err = concurrency.NewElection(s, name).Campaign(background, "v")
		}
	}
	if err != nil {
		return err
	}
	fmt.Println("leading")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
