package integration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"etcdkit/integration/cluster"
	"etcdkit/internal/mirror"
	"etcdkit/internal/retry"
)

// TestMirrorMissesNothingWhileCutOff: it is told of deletes that compaction took out of the history.
func TestMirrorMissesNothingWhileCutOff(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, admin := c.Client(t), c.Admin()
	for _, key := range []string{"p/stays", "p/changes", "p/goes"} {
		mustPut(t, admin, key, "1")
	}
	m, _ := mirrorOf(t, client, "p/")
	f := follow(t, m)
	f.until("p/goes", "1")
	awaitStep(t, m, true)

	if c.Cut() == 0 {
		t.Fatal("there was nothing to cut")
	}
	awaitStep(t, m, false)
	mustDelete(t, admin, "p/goes")
	mustPut(t, admin, "p/changes", "2")
	mustPut(t, admin, "p/new", "1")
	c.Compact(t)
	c.Heal()
	f.until("p/new", "1")
	f.equals(admin, "p/")
	if f.resynced != 1 {
		t.Errorf("%d lists, want one: the history was gone", f.resynced)
	}
	awaitStep(t, m, true)

	c.Cut() // and with the history there, none is needed
	mustPut(t, admin, "p/new", "2")
	c.Heal()
	f.until("p/new", "2")
	if f.resynced != 1 {
		t.Errorf("%d lists, want one: the second time the history was there", f.resynced)
	}
}

// TestMirrorNoticesHalfOpen: no byte passes, and no connection ends.
func TestMirrorNoticesHalfOpen(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t, func(cfg *clientv3.Config) { cfg.DialKeepAliveTime = 0 }) // nothing but the check can notice
	m, _ := mirrorOf(t, client, "p/")
	f := follow(t, m)
	f.step()
	awaitStep(t, m, true)
	c.Blackhole()
	mustPut(t, c.Admin(), "p/a", "1")
	awaitStep(t, m, false)
	if c.Unblackhole() == 0 {
		t.Error("the hole swallowed nothing")
	}
	f.until("p/a", "1")
	awaitStep(t, m, true)
}

func TestMirrorOutlivesLeaders(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client := c.Client(t)
	m, _ := mirrorOf(t, client, "p/")
	f := follow(t, m)
	for round := range 3 {
		leader := c.WaitLeader(t)
		key := fmt.Sprint("p/", round)
		mustPut(t, c.Admin(), key, "before")
		f.until(key, "before")
		c.Stop(leader)
		c.WaitLeader(t)
		mustPut(t, c.Admin(), key, "after")
		f.until(key, "after")
		c.Restart(t, leader)
	}
	f.equals(c.Admin(), "p/")
	awaitStep(t, m, true)
}

// TestMirrorLeavesAnIsolatedMember: a watch on a member without a leader would be silent.
func TestMirrorLeavesAnIsolatedMember(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	leader := c.WaitLeader(t)
	lonely := (leader + 1) % 3
	endpoint := c.Endpoints()[lonely]
	m, _ := mirrorOf(t, c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = []string{endpoint} }), "p/")
	f := follow(t, m)
	f.step()
	awaitStep(t, m, true)
	c.Isolate(lonely)
	awaitStep(t, m, false)
	mustPut(t, c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = []string{c.Endpoints()[leader]} }), "p/a", "1")
	c.Rejoin(lonely)
	f.until("p/a", "1")
	awaitStep(t, m, true)
}

func TestMirrorOutlivesItsToken(t *testing.T) {
	t.Parallel()
	c, root, user := guarded(t, func(cfg *embed.Config) { cfg.AuthTokenTTL = 1 })
	m := mirror.New(user, "mine/", slog.New(slog.DiscardHandler)) // checked every 30 s, since checks would keep the token good
	runMirror(t, m)
	f := follow(t, m)
	for round := range 2 {
		expire(t, user)
		key := fmt.Sprint("mine/", round)
		mustPut(t, root, key, "open") // the watch that was there
		f.until(key, "open")
		c.Cut() // and one that is opened with a token that has expired
		awaitStep(t, m, false)
		c.Heal()
		err := retry.Do(soon(t), func(ctx context.Context) error { _, err := root.Put(ctx, key, "reopened"); return err })
		if err != nil {
			t.Fatal(err)
		}
		f.until(key, "reopened")
	}
	awaitStep(t, m, true)
}

// expire waits until a token that the client has now is not good any more. The server forgets one a second after its last use.
func expire(t *testing.T, client *clientv3.Client) {
	t.Helper()
	timer := time.NewTimer(2500 * time.Millisecond) // the only way to tell without using, and so prolonging, it
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-client.Ctx().Done():
	}
}

func TestMirrorEndsWithItsRights(t *testing.T) {
	t.Parallel()
	_, root, user := guarded(t)
	mustPut(t, root, "mine/a", "1")
	m, ran := mirrorOf(t, user, "mine/")
	f := follow(t, m)
	f.until("mine/a", "1")
	if _, err := root.RoleRevokePermission(soon(t), "role", "mine/", "mine0"); err != nil {
		t.Fatal(err)
	}
	if err := <-ran; !errors.Is(err, rpctypes.ErrPermissionDenied) || !strings.Contains(err.Error(), `"mine/"`) {
		t.Errorf("Run = %v", err)
	}
	mustPut(t, root, "mine/secret", "1")
	if err := f.ends(); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("updates ended with %v", err)
	}
	if _, told := f.state["mine/secret"]; told {
		t.Error("the mirror told what was written after the rights were gone")
	}
	if _, err := m.Snapshot(soon(t)); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("Snapshot = %v", err)
	}

	refused, _ := mirrorOf(t, user, "theirs/")
	if _, err := refused.Snapshot(soon(t)); !errors.Is(err, rpctypes.ErrPermissionDenied) || !strings.Contains(err.Error(), `"theirs/"`) {
		t.Errorf("Snapshot without rights = %v", err)
	}
}

// TestMirrorRefusesARewoundHistory: the member comes back with the same id and the same address, and nothing in its store.
func TestMirrorRefusesARewoundHistory(t *testing.T) {
	t.Parallel()
	fresh := ""
	c := cluster.New(t, 1, func(cfg *embed.Config) {
		if fresh != "" {
			cfg.Dir, cfg.ClusterState = fresh, embed.ClusterStateFlagNew
		}
	})
	fill(t, c.Admin(), "p/", 500)
	m, ran := mirrorOf(t, c.Client(t), "p/")
	f := follow(t, m)
	f.step()
	c.Stop(0)
	fresh = filepath.Join(t.TempDir(), "restored")
	c.Restart(t, 0)
	if err := <-ran; !errors.Is(err, mirror.ErrRewound) || !strings.Contains(err.Error(), "revision") {
		t.Errorf("Run = %v", err)
	}
	if err := f.ends(); !errors.Is(err, mirror.ErrRewound) {
		t.Errorf("updates ended with %v", err)
	}
	if len(f.state) != 500 {
		t.Errorf("%d keys were taken back", 500-len(f.state))
	}
}

func TestMirrorUnreachable(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	c.Cut()
	m, _ := mirrorOf(t, client, "p/")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := m.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `"p/"`) {
		t.Errorf("Snapshot = %v", err)
	}
	if took := time.Since(begun); took > 800*time.Millisecond {
		t.Errorf("Snapshot returned %v after the beginning, with 300ms to wait", took)
	}
	c.Heal()
	if _, err := m.Snapshot(soon(t)); err != nil {
		t.Error(err)
	}
}

// TestMirrorLeavesNothingBehind is not parallel: it looks at all goroutines.
func TestMirrorLeavesNothingBehind(t *testing.T) {
	c := cluster.New(t, 1)
	client := c.Client(t)
	before := len(watching())
	for round := range 8 {
		m := mirror.New(client, "p/", slog.New(slog.DiscardHandler))
		m.CheckEvery = 2 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = m.Run(ctx) })
		for _, err := range m.Updates(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			break // one walk is broken off
		}
		f := follow(t, m)
		mustPut(t, client, "p/a", fmt.Sprint(round))
		f.until("p/a", fmt.Sprint(round))
		running.Go(func() { _ = f.ends() }) // and one ended by the mirror
		if round == 3 {
			c.Cut()
			awaitStep(t, m, false)
		}
		cancel()
		running.Wait()
		c.Heal()
		awaitOnly(t, before)
	}
}

// awaitOnly waits until there are no more watching goroutines than before: the client ends its streams in its own time.
func awaitOnly(t *testing.T, before int) {
	t.Helper()
	ctx := soon(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(watching()) > before {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("goroutines of mirrors and watches are left:\n%s", strings.Join(watching(), "\n\n"))
		}
	}
}

// watching returns the goroutines that belong to a mirror or to a watch of the client.
func watching() (stacks []string) {
	buf := make([]byte, 4<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "internal/mirror.") || strings.Contains(stack, "client/v3.(*watch") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
