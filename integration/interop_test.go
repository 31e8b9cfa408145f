package integration

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// etcdctl returns the path of etcd's own command line, built once.
var etcdctl = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "etcdctl-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "etcdctl")
	out, err := exec.Command("go", "build", "-o", path, "go.etcd.io/etcd/etcdctl/v3").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// etcdctlLock starts `etcdctl lock key` and returns it and the lines that it prints: the first one when it holds.
func etcdctlLock(t *testing.T, key string) (*exec.Cmd, <-chan string) {
	t.Helper()
	path, err := etcdctl()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--endpoints", cluster.SharedEndpoints()[0], "lock", key)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, lines
}

// `etcdctl lock` and a Mutex stand in one line, both ways, at the kit's own key and at a legacy one.
func TestEtcdctlLockStandsInTheSameLine(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	for _, m := range []*lock.Mutex{lock.NewMutex(s, "x"), lock.NewMutex(s, "legacy", lock.WithKey(prefix+"/legacy/jobs"))} {
		h := mustLock(t, m)
		cmd, lines := etcdctlLock(t, m.Key())
		awaitWaiters(t, m, 2)
		select {
		case line := <-lines:
			t.Fatalf("etcdctl got the lock beside us: %s", line)
		default:
		}
		mustUnlock(t, h)
		select {
		case <-lines: // it holds
		case <-time.After(patience):
			t.Fatal("etcdctl did not get the lock")
		}
		if _, err := m.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("TryLock beside etcdctl = %v", err)
		}
		held := async(t, m)
		awaitWaiters(t, m, 2)
		select {
		case <-held:
			t.Error("granted beside etcdctl")
		default:
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, next(t, held))
	}
}

// oneAtATime checks that nobody has what somebody else has, and that tokens rise.
type oneAtATime struct {
	inside atomic.Int32
	last   atomic.Int64
}

func (o *oneAtATime) enter(t *testing.T, token int64) {
	t.Helper()
	if n := o.inside.Add(1); n != 1 {
		t.Errorf("%d at once", n)
	}
	if before := o.last.Swap(token); before >= token {
		t.Errorf("token %d after %d", token, before)
	}
	o.inside.Add(-1)
}

// A fleet of which some use etcd's package and some use this one never has two holders.
func TestMixedFleet(t *testing.T) {
	t.Parallel()
	const each, rounds = 3, 10
	prefix := cluster.Prefix(t)
	key := prefix + "/legacy/jobs"
	var one oneAtATime
	var all sync.WaitGroup
	for range each {
		ours, theirs := cluster.Shared(t), cluster.Shared(t)
		all.Go(func() {
			m := lock.NewMutex(open(t, ours, prefix), "jobs", lock.WithKey(key))
			for range rounds {
				err := m.Do(soon(t), func(_ context.Context, h *lock.Hold) error { one.enter(t, int64(h.Token())); return nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			s, err := concurrency.NewSession(theirs, concurrency.WithTTL(5))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			for range rounds {
				m := concurrency.NewMutex(s, key)
				if err := m.Lock(soon(t)); err != nil {
					t.Error(err)
					return
				}
				resp, err := theirs.Get(soon(t), m.Key())
				if err != nil || len(resp.Kvs) != 1 {
					t.Errorf("their key: %v, %v", resp, err)
					return
				}
				one.enter(t, resp.Kvs[0].CreateRevision)
				if err := m.Unlock(soon(t)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// etcd's package on the very lease and slot name of ours is a foreigner like any other.
func TestTheirMutexOnOurLease(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	m := lock.NewMutex(s, "x")
	their, err := concurrency.NewSession(client, concurrency.WithLease(mustLease(t, s).ID()))
	if err != nil {
		t.Fatal(err)
	}
	defer their.Orphan()
	theirs := concurrency.NewMutex(their, m.Key())
	if err := theirs.Lock(soon(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("TryLock = %v", err)
	}
	held := async(t, m)
	awaitWaiters(t, m, 2)
	if err := theirs.Unlock(soon(t)); err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, next(t, held))
}
