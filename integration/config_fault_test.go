package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"etcdkit/config"
	"etcdkit/integration/cluster"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// awaitStale waits until a value is known to be in step with etcd, or not to be.
func awaitStale[T any](t *testing.T, v *config.Value[T], want bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("stale is %v", want), func() bool { return (v.Stale() > 0) == want })
}

// putStamp writes a stamp, again if need be.
func putStamp(t *testing.T, kv clientv3.KV, n int64) {
	t.Helper()
	err := retry.Do(soon(t), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second) // a member that died does not answer, and a server takes longer to say so
		defer cancel()
		return stamp(ctx, kv, "etcdkit/config/app/", n)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func awaitStamp(t *testing.T, v *config.Value[stamped], n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("stamp %d", n), func() bool { return v.Get() == stamped{n, n, n} })
}

// TestConfigOutlivesLeaders: no half transaction and no older revision is shown while leaders come and go (F3).
func TestConfigOutlivesLeaders(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	v := mustWatch(t, open(t, c.Client(t), "etcdkit"), "app", stamped{}, config.WithTree())
	readStamps(t, v)
	writer, n := c.Client(t), int64(0)
	for range 2 {
		leader := c.WaitLeader(t)
		for range 20 {
			n++
			putStamp(t, writer, n)
		}
		c.Stop(leader)
		for range 20 {
			n++
			putStamp(t, writer, n)
		}
		awaitStamp(t, v, n)
		c.Restart(t, leader)
	}
	c.MoveLeader(t, (c.WaitLeader(t)+1)%3)
	putStamp(t, writer, n+1)
	awaitStamp(t, v, n+1)
	awaitStale(t, v, false)
}

// TestConfigOnAnIsolatedMember says that it is stale, and catches up (F5).
func TestConfigOnAnIsolatedMember(t *testing.T) {
	t.Parallel()
	c, lonely, client := pinned(t)
	v := mustWatch(t, open(t, client, "etcdkit"), "app", stamped{}, config.WithTree())
	readStamps(t, v)
	awaitStale(t, v, false)
	c.Isolate(lonely)
	awaitStale(t, v, true)
	rest := c.Client(t, func(cfg *clientv3.Config) {
		cfg.Endpoints = slices.Delete(slices.Clone(c.Endpoints()), lonely, lonely+1)
	})
	putStamp(t, rest, 1)
	if v.Get().A != 0 {
		t.Error("an isolated member told of a write by the others")
	}
	c.Rejoin(lonely)
	awaitStamp(t, v, 1)
	awaitStale(t, v, false)
}

// TestConfigOutlivesAnOutage of the whole cluster, and programs start in it (F9).
func TestConfigOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client, path := c.Client(t), filepath.Join(t.TempDir(), "last")
	s := open(t, client, "etcdkit")
	mustPut(t, client, "etcdkit/config/app", `{"timeout":"5s","limits":{"a":1}}`)
	v := mustWatch(t, s, "app", byDefault, config.WithLastGood(path))
	if err := v.Close(); err != nil { // the file is written by then
		t.Fatal(err)
	}
	v = mustWatch(t, s, "app", byDefault)
	rev := v.Snapshot().Revision
	for i := range 3 {
		c.Stop(i)
	}
	awaitStale(t, v, true)
	if v.Get().Timeout != 5*time.Second || v.Snapshot().Err != nil {
		t.Errorf("in the outage: %+v", v.Snapshot())
	}

	other := open(t, c.Client(t), "etcdkit") // a program that starts now
	short := within(t, 300*time.Millisecond)
	if _, err := config.Watch(short, other, "app", byDefault); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `config "app"`) {
		t.Errorf("without a file: %v", err)
	}
	begun := time.Now()
	booted, err := config.Watch(within(t, 300*time.Millisecond), other, "app", byDefault, config.WithLastGood(path))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v to start, with 300ms to wait", took)
	}
	snap := booted.Snapshot()
	if snap.Value.Timeout != 5*time.Second || snap.Value.Limits["a"] != 1 || snap.Revision != rev || snap.Stale == 0 || snap.Err != nil {
		t.Errorf("from the file: %+v", snap)
	}
	at := stepsOf(t, booted)
	at.next()

	c.Restart(t, 0, 1, 2)
	c.WaitLeader(t)
	healed := time.Now()
	awaitStale(t, v, false)
	t.Logf("fresh %v after the cluster was back", time.Since(healed))
	put(t, client, "etcdkit/config/app", `{"timeout":"6s"}`)
	at.until(func(ch *config.Change[settings]) bool { return ch.New.Timeout == 6*time.Second })
	awaitStale(t, booted, false)
	if err := booted.Close(); err != nil {
		t.Error(err)
	}
	if file, err := os.ReadFile(path); err != nil || !strings.Contains(string(file), fmt.Sprintf(`"revision":%d`, booted.Snapshot().Revision)) {
		t.Errorf("the file was not brought up: %s, %v", file, err)
	}
}

// TestConfigSeesDeletesThatItMissed, which compaction took out of the history (F10).
func TestConfigSeesDeletesThatItMissed(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, admin := c.Client(t), c.Admin()
	s := open(t, client, "etcdkit")
	for key, value := range map[string]string{
		"one": `{"level":"one"}`, "reset": `{"level":"reset"}`, "tree/level": "tree", "tree/timeout": "5s",
	} {
		mustPut(t, admin, "etcdkit/config/"+key, value)
	}
	one := mustWatch(t, s, "one", byDefault)
	reset := mustWatch(t, s, "reset", byDefault, config.WithDeleteResets())
	tree := mustWatch(t, s, "tree", byDefault, config.WithTree())
	atOne, atReset, atTree := stepsOf(t, one), stepsOf(t, reset), stepsOf(t, tree)
	atOne.next()
	atReset.next()
	atTree.next()
	awaitStale(t, one, false)
	if c.Cut() == 0 {
		t.Fatal("there was nothing to cut")
	}
	awaitStale(t, one, true)
	for _, key := range []string{"one", "reset", "tree/timeout"} {
		mustDelete(t, admin, "etcdkit/config/"+key)
	}
	mustPut(t, admin, "etcdkit/config/tree/limits/a", "1")
	c.Compact(t)
	c.Heal()
	fresh := func(ch *config.Change[settings]) bool { return ch.StaleSince.IsZero() }
	if ch := atOne.until(fresh); !ch.Deleted || ch.New.Level != "one" {
		t.Errorf("one: %+v", ch)
	}
	if ch := atReset.until(fresh); !ch.Deleted || ch.New.Level != "info" {
		t.Errorf("reset: %+v", ch)
	}
	if ch := atTree.until(fresh); ch.Deleted || ch.New.Level != "tree" || ch.New.Timeout != time.Second || ch.New.Limits["a"] != 1 {
		t.Errorf("tree: %+v", ch)
	}
	awaitStale(t, tree, false)
}

// TestConfigUnderCompaction: nothing is torn while history is dropped and connections are, again and again (F10).
func TestConfigUnderCompaction(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	v := mustWatch(t, open(t, c.Client(t), "etcdkit"), "app", stamped{}, config.WithTree())
	r := readStamps(t, v)
	for n := range int64(40) {
		if n%8 == 3 {
			c.Cut()
		}
		putStamp(t, c.Admin(), n)
		c.Compact(t)
		if n%8 == 5 {
			c.Heal()
		}
	}
	c.Heal()
	awaitStamp(t, v, 39)
	if r.seen.Load() < 2 {
		t.Errorf("%d changes were seen", r.seen.Load())
	}
}

// TestConfigOutlivesJunk of every kind, in its key, below its tree and beside it (F18).
func TestConfigOutlivesJunk(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, root := open(t, client, prefix), prefix+"/config/app"
	mustPut(t, client, root, `{"level":"good"}`)
	mustPut(t, client, root+"/level", "good")
	one := mustWatch(t, s, "app", byDefault)
	tree := mustWatch(t, s, "app", byDefault, config.WithTree())
	atTree := stepsOf(t, tree)
	atTree.next()
	for _, key := range []string{root + "/", root + "//level", root + "/a%zz", root + "/\xff", root + "/@/x", root + "/..", root + "2", prefix + "/config/"} {
		mustPut(t, client, key, "junk")
	}
	mustPut(t, client, root+"/level", "better")
	if ch := atTree.until(func(ch *config.Change[settings]) bool { return ch.New.Level == "better" }); ch.Refused != nil {
		t.Errorf("keys that are nobody's are in the way: %+v", ch)
	}
	at := stepsOf(t, one)
	at.next()
	for _, junk := range []string{"\x00", strings.Repeat("[", 100_000), strings.Repeat(`{"limits":`, 10_000), strings.Repeat("x", 1400<<10), `{"limits":{"a":1e999}}`} {
		mustPut(t, client, root, junk)
		if ch := at.next(); ch.Refused == nil || ch.New.Level != "good" {
			t.Errorf("%.20q...: %+v", junk, ch)
		}
	}
	mustPut(t, client, root, `{"level":"better"}`)
	if ch := at.next(); ch.Refused != nil || ch.New.Level != "better" {
		t.Errorf("after the junk: %+v", ch)
	}
	if names, err := config.List(soon(t), s, "app"); err != nil || len(names) != 1 {
		t.Errorf("List = %v, %v", names, err)
	}
}

// rewindable returns a cluster of one member, and what makes it come back with nothing in its store.
func rewindable(t *testing.T) (c *cluster.Cluster, rewind func()) {
	t.Helper()
	fresh := ""
	c = cluster.New(t, 1, func(cfg *embed.Config) {
		if fresh != "" {
			cfg.Dir, cfg.ClusterState = fresh, embed.ClusterStateFlagNew
		}
	})
	return c, func() {
		t.Helper()
		c.Stop(0)
		fresh = filepath.Join(t.TempDir(), "restored")
		c.Restart(t, 0)
	}
}

// TestConfigRefusesARewoundHistory: what was read stays, also where it came from a file (F19).
func TestConfigRefusesARewoundHistory(t *testing.T) {
	t.Parallel()
	c, rewind := rewindable(t)
	client, path := c.Client(t), filepath.Join(t.TempDir(), "last")
	fill(t, c.Admin(), "etcdkit/config/many/", 500)
	mustPut(t, c.Admin(), "etcdkit/config/app", `{"level":"good"}`)
	s := open(t, client, "etcdkit")
	v := mustWatch(t, s, "app", byDefault, config.WithLastGood(path), config.WithReport())
	at := stepsOf(t, v)
	at.next()
	eventually(t, "the report", func() bool { return len(keys(t, client, "etcdkit/configstatus/")) == 1 })
	rewind()
	if err := at.end(); !errors.Is(err, session.ErrRewound) {
		t.Errorf("changes ended with %v", err)
	}
	if snap := v.Snapshot(); snap.Value.Level != "good" || !errors.Is(snap.Err, session.ErrRewound) || snap.Stale == 0 {
		t.Errorf("after it: %+v", snap)
	}
	eventually(t, "a report of that", func() bool {
		list, err := config.NewStore(s, "app").Status(soon(t))
		return err == nil && len(list) == 1 && strings.Contains(list[0].Stopped, "rewound")
	})
	if err := v.Close(); err != nil {
		t.Error(err)
	}

	// A program that starts while nothing can be read believes its file, and then meets the other history.
	c.Cut()
	other := open(t, c.Client(t), "etcdkit")
	booted, err := config.Watch(within(t, 200*time.Millisecond), other, "app", byDefault, config.WithLastGood(path))
	if err != nil {
		t.Fatal(err)
	}
	at = stepsOf(t, booted)
	at.next()
	c.Heal()
	if err := at.end(); !errors.Is(err, session.ErrRewound) || booted.Get().Level != "good" {
		t.Errorf("the file is of a history that is gone: %v, %+v", err, booted.Snapshot())
	}
	// One that starts when it can be read takes what is there.
	if v := mustWatch(t, open(t, c.Client(t), "etcdkit"), "app", byDefault, config.WithLastGood(path)); v.Get().Level != "info" {
		t.Errorf("%+v", v.Snapshot())
	}
}

// TestConfigStartsFromWhatWasGood: with the file where etcd has what is refused, without it where the file is of no use.
func TestConfigStartsFromWhatWasGood(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, key, path := open(t, client, prefix), prefix+"/config/app", filepath.Join(t.TempDir(), "last")
	mustPut(t, client, key, `{"level":"good"}`)
	v := mustWatch(t, s, "app", byDefault, config.WithLastGood(path))
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	mustPut(t, client, key, `{"level":`)
	v = mustWatch(t, s, "app", byDefault, config.WithLastGood(path))
	at := stepsOf(t, v)
	ch := at.until(func(ch *config.Change[settings]) bool { return ch.Refused != nil })
	if ch.New.Level != "good" || v.Stale() != 0 {
		t.Errorf("a bad value at the start: %+v", v.Snapshot())
	}
	mustPut(t, client, key, `{"level":"better"}`)
	if ch := at.next(); ch.New.Level != "better" || ch.Refused != nil {
		t.Errorf("%+v", ch)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}

	mustDelete(t, client, key) // while nobody looks
	v = mustWatch(t, s, "app", byDefault, config.WithLastGood(path))
	if v.Get().Level != "info" || v.Snapshot().Deleted {
		t.Errorf("absent at the start: %+v", v.Snapshot())
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	mustPut(t, client, key, `{"level":`)
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	_, err := config.Watch(soon(t), s, "app", byDefault, config.WithLastGood(path))
	if !errors.Is(err, config.ErrRefused) || !strings.Contains(err.Error(), path) {
		t.Errorf("neither is of use: %v", err)
	}
	mustPut(t, client, key, `{"level":"new"}`)
	if v := mustWatch(t, s, "app", byDefault, config.WithLastGood(path)); v.Get().Level != "new" {
		t.Errorf("a broken file is in the way: %+v", v.Snapshot())
	}
	if err := os.WriteFile(path, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Watch(soon(t), s, "app", byDefault, config.WithLastGood(path)); err == nil || !strings.Contains(err.Error(), "no last good file") {
		t.Errorf("somebody else's file: %v", err)
	}
}

// TestStoreUnderFaults: counters that are raised while leaders die and answers are lost count each raise that was acknowledged once, and each
// that is uncertain at most once.
func TestStoreUnderFaults(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	var acknowledged, uncertain atomic.Int64
	stop, stopped := context.WithCancel(t.Context())
	defer stopped()
	done := make(chan struct{})
	go func() {
		defer close(done)
		st := config.NewStore(session.New(c.Client(t)), "counter", config.WithKeep(1000))
		for stop.Err() == nil {
			raise(t, st, &acknowledged, &uncertain)
		}
	}()
	for range 3 {
		leader := c.WaitLeader(t)
		before := acknowledged.Load()
		c.Cut(leader)
		c.Stop(leader)
		c.WaitLeader(t)
		eventually(t, "raises without that leader", func() bool { return acknowledged.Load() > before+5 })
		c.Heal(leader)
		c.Restart(t, leader)
	}
	stopped()
	<-done
	history, err := config.NewStore(open(t, c.Client(t), "etcdkit"), "counter").History(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(history)); n < acknowledged.Load() || n > acknowledged.Load()+uncertain.Load() {
		t.Errorf("%d versions, with %d acknowledged and %d uncertain", n, acknowledged.Load(), uncertain.Load())
	}
	t.Logf("%d acknowledged, %d uncertain, %d versions", acknowledged.Load(), uncertain.Load(), len(history))
}

func raise(t *testing.T, st *config.Store, acknowledged, uncertain *atomic.Int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	value, rev, err := st.Get(ctx)
	if err != nil {
		return // not reachable now
	}
	var n int
	_, _ = fmt.Sscan(string(value), &n)
	_, err = st.Put(ctx, rev, []byte(fmt.Sprint(n+1)))
	switch {
	case err == nil:
		acknowledged.Add(1)
	case errors.Is(err, session.ErrUncertain):
		uncertain.Add(1)
	case errors.Is(err, config.ErrConflict) || ctx.Err() != nil:
	default:
		t.Errorf("Put = %v", err)
	}
}
