package integration

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// settings is what the values of these tests are.
type settings struct {
	Timeout time.Duration  `json:"timeout"`
	Level   string         `json:"level"`
	Limits  map[string]int `json:"limits"`
}

// Validate is asked for each update.
func (s settings) Validate() error {
	if s.Timeout > time.Minute {
		return errors.New("timeout: more than a minute")
	}
	return nil
}

var byDefault = settings{Timeout: time.Second, Level: "info"}

func mustWatch[T any](t testing.TB, s *session.Session, name string, def T, opts ...config.Option) *config.Value[T] {
	t.Helper()
	v, err := config.Watch(soon(t), s, name, def, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() }) // a test that cares closes by itself
	return v
}

// steps walks over the changes of a value, one by one. It fails the test if a revision falls.
type steps[T any] struct {
	t    testing.TB
	pull func() (*config.Change[T], error, bool)
	rev  int64
}

func stepsOf[T any](t testing.TB, v *config.Value[T]) *steps[T] {
	t.Helper()
	pull, stop := iter.Pull2(v.Changes(soon(t)))
	t.Cleanup(stop)
	return &steps[T]{t: t, pull: pull}
}

func (s *steps[T]) next() *config.Change[T] {
	s.t.Helper()
	ch, err, _ := s.pull()
	if err != nil {
		s.t.Fatalf("changes ended: %v", err)
	}
	if ch.Revision < s.rev {
		s.t.Errorf("revision %d after %d", ch.Revision, s.rev)
	}
	s.rev = ch.Revision
	return ch
}

// until takes steps until one is right.
func (s *steps[T]) until(right func(*config.Change[T]) bool) *config.Change[T] {
	s.t.Helper()
	for {
		if ch := s.next(); right(ch) {
			return ch
		}
	}
}

// end takes steps until the error.
func (s *steps[T]) end() error {
	for {
		if _, err, _ := s.pull(); err != nil {
			return err
		}
	}
}

// TestConfigFollows one key through its whole life.
func TestConfigFollows(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, key := open(t, client, prefix), prefix+"/config/app/api"
	v := mustWatch(t, s, "app/api", byDefault)
	at := stepsOf(t, v)
	if ch := at.next(); ch.New.Timeout != time.Second || ch.Revision != 0 || ch.Deleted || ch.Refused != nil || ch.Fields != nil {
		t.Errorf("absent: %+v", ch)
	}
	mustPut(t, client, key, `{"timeout":"5s","limits":{"a":1}}`)
	ch := at.next()
	if ch.Old.Timeout != time.Second || ch.New.Timeout != 5*time.Second || ch.New.Level != "info" || !slices.Equal(ch.Fields, []string{"timeout", "limits.a"}) {
		t.Errorf("written: %+v", ch)
	}
	if v.Get().Timeout != 5*time.Second || v.Snapshot().Revision != ch.Revision || v.Stale() != 0 {
		t.Errorf("snapshot %+v", v.Snapshot())
	}
	good := ch.Revision
	for _, bad := range []string{`{"timeout":"61s"}`, `{"timeouts":"1s"}`, ``, "\x00\xff", `{"timeout":5}`, "null"} {
		mustPut(t, client, key, bad)
		ch := at.next()
		var refused *config.RefusedError
		if !errors.As(ch.Refused, &refused) || refused.Revision != ch.Revision || ch.Revision <= good || ch.Fields != nil {
			t.Errorf("%q: %+v", bad, ch)
		}
		if snap := v.Snapshot(); snap.Value.Timeout != 5*time.Second || snap.Revision != good || !errors.Is(snap.Refused, config.ErrRefused) || snap.Stale != 0 {
			t.Errorf("%q: snapshot %+v", bad, snap)
		}
	}
	mustPut(t, client, key, `{"limits":{"b":2}}`)
	if ch := at.next(); ch.Refused != nil || ch.New.Timeout != time.Second || len(ch.New.Limits) != 1 || !slices.Equal(ch.Fields, []string{"timeout", "limits.a", "limits.b"}) {
		t.Errorf("good again: %+v", ch)
	}
	mustDelete(t, client, key)
	if ch := at.next(); !ch.Deleted || ch.New.Limits["b"] != 2 || ch.Fields != nil || !v.Snapshot().Deleted {
		t.Errorf("deleted: %+v", ch)
	}
	mustPut(t, client, key, `{}`)
	if ch := at.next(); ch.Deleted || ch.New.Limits != nil {
		t.Errorf("there again: %+v", ch)
	}
	if err := errors.Join(v.Close(), v.Close()); err != nil {
		t.Error(err)
	}
	if err := at.end(); !errors.Is(err, config.ErrClosed) || !strings.Contains(err.Error(), `config "app/api"`) {
		t.Errorf("after Close: %v", err)
	}
	if snap := v.Snapshot(); snap.Value.Level != "info" || !errors.Is(snap.Err, config.ErrClosed) || snap.Stale == 0 {
		t.Errorf("after Close: %+v", snap)
	}
}

func TestConfigDeleteResets(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	key := prefix + "/config/app"
	mustPut(t, client, key, `{"timeout":"5s"}`)
	v := mustWatch(t, open(t, client, prefix), "app", byDefault, config.WithDeleteResets())
	at := stepsOf(t, v)
	at.next()
	mustDelete(t, client, key)
	if ch := at.next(); !ch.Deleted || ch.New.Timeout != time.Second || !slices.Equal(ch.Fields, []string{"timeout"}) {
		t.Errorf("deleted: %+v", ch)
	}
}

func TestConfigRefusesAtTheStart(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	mustPut(t, client, prefix+"/config/app", `{"timeout":"1h"}`)
	_, err := config.Watch(soon(t), open(t, client, prefix), "app", byDefault)
	if !errors.Is(err, config.ErrRefused) || !strings.Contains(err.Error(), `config "app": revision `) || !strings.Contains(err.Error(), "more than a minute") {
		t.Errorf("Watch = %v", err)
	}
}

// TestConfigTree: a key of a tree is a field.
func TestConfigTree(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, below := open(t, client, prefix), prefix+"/config/app/api/"
	mustPut(t, client, prefix+"/config/app/apis/level", "stranger")
	mustPut(t, client, prefix+"/config/app/api", `{"level":"no part of the tree"}`)
	v := mustWatch(t, s, "app/api", byDefault, config.WithTree())
	at := stepsOf(t, v)
	if ch := at.next(); ch.New.Level != "info" || ch.Revision != 0 {
		t.Errorf("absent: %+v", ch)
	}
	_, err := client.Txn(soon(t)).Then(
		clientv3.OpPut(below+"timeout", "5s"), clientv3.OpPut(below+"level", "debug"), clientv3.OpPut(below+"limits/a", "1")).Commit()
	if err != nil {
		t.Fatal(err)
	}
	if ch := at.next(); ch.New.Timeout != 5*time.Second || ch.New.Level != "debug" || ch.New.Limits["a"] != 1 || len(ch.Fields) != 3 {
		t.Errorf("written at once: %+v", ch)
	}
	mustDelete(t, client, below+"timeout")
	if ch := at.next(); ch.New.Timeout != time.Second || ch.Deleted || !slices.Equal(ch.Fields, []string{"timeout"}) {
		t.Errorf("one key deleted: %+v", ch)
	}
	mustPut(t, client, below+"limits/a", "many")
	if ch := at.next(); ch.Refused == nil || !strings.Contains(ch.Refused.Error(), "limits.a: it is text, which is no int") || ch.New.Limits["a"] != 1 {
		t.Errorf("refused: %+v", ch)
	}
	if _, err := client.Delete(soon(t), below, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	if ch := at.next(); !ch.Deleted || ch.New.Level != "debug" || ch.Refused != nil {
		t.Errorf("all deleted: %+v", ch)
	}
}

// TestConfigWithKey: keys that people have already, and none beside them.
func TestConfigWithKey(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, legacy := open(t, client, prefix), prefix+"/legacy/app"
	mustPut(t, client, legacy, `{"level":"old"}`)
	mustPut(t, client, legacy+"2", `{"level":"other"}`)
	mustPut(t, client, legacy+"/level", "tree")
	one := mustWatch(t, s, "app", byDefault, config.WithKey(legacy))
	tree := mustWatch(t, s, "app", byDefault, config.WithKey(legacy), config.WithTree())
	raw := mustWatch(t, s, "app", []byte("none"), config.WithKey(legacy+"2"))
	if one.Get().Level != "old" || tree.Get().Level != "tree" || string(raw.Get()) != `{"level":"other"}` {
		t.Errorf("%+v, %+v, %s", one.Get(), tree.Get(), raw.Get())
	}
	rev, err := config.NewStore(s, "app", config.WithKey(legacy)).Put(soon(t), one.Snapshot().Revision, []byte(`{"level":"new"}`))
	if err != nil {
		t.Fatal(err)
	}
	stepsOf(t, one).until(func(ch *config.Change[settings]) bool { return ch.Revision == rev && ch.New.Level == "new" })

	key, release := s.Hub().MirrorKey(legacy)
	defer release()
	below, releaseBelow := s.Hub().Mirror(legacy)
	defer releaseBelow()
	snapshot, err := key.Snapshot(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Len() != 1 || key == below {
		t.Errorf("the mirror of a key has %d keys; it is that of a prefix: %v", snapshot.Len(), key == below)
	}
}

// countWatches counts the watches that are opened, and has them go on through the client.
type countWatches struct {
	clientv3.Watcher
	n atomic.Int64
}

func (w *countWatches) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	w.n.Add(1)
	return w.Watcher.Watch(ctx, key, opts...)
}

// TestConfigSharesAWatch: a thousand values beside each other cost one.
func TestConfigSharesAWatch(t *testing.T) {
	t.Parallel()
	const values = 1000
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	counted := &countWatches{Watcher: client.Watcher}
	client.Watcher = counted
	s := open(t, client, prefix)
	var all []*config.Value[int]
	for i := range values {
		all = append(all, mustWatch(t, s, fmt.Sprintf("app/%d", i), -1))
	}
	for _, i := range rand.Perm(values)[:100] {
		mustPut(t, client, fmt.Sprintf("%s/config/app/%d", prefix, i), fmt.Sprint(i))
		stepsOf(t, all[i]).until(func(ch *config.Change[int]) bool { return ch.New == i })
	}
	written := 0
	for _, v := range all {
		if v.Get() >= 0 {
			written++
		}
	}
	if written != 100 || counted.n.Load() != 1 {
		t.Errorf("%d values have a value, want 100; %d watches, want 1", written, counted.n.Load())
	}
}

// TestConfigOfTenThousandKeys opens and decodes a large tree.
func TestConfigOfTenThousandKeys(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	fill(t, client, prefix+"/config/big/k", 10_000)
	begun := time.Now()
	v := mustWatch(t, open(t, client, prefix), "big", map[string]string{}, config.WithTree())
	t.Logf("opened in %v", time.Since(begun))
	if n := len(v.Get()); n != 10_000 || v.Get()["k009999"] != "v" {
		t.Errorf("%d keys", n)
	}
	values, _, err := config.NewStore(open(t, client, prefix), "big", config.WithTree()).GetAll(soon(t))
	if err != nil || len(values) != 10_000 {
		t.Errorf("the store has %d keys, %v", len(values), err)
	}
}

// TestConfigSnapshotsAreApart: what one reader does to his, against the rules, reaches neither later values nor the default.
func TestConfigSnapshotsAreApart(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	def := settings{Limits: map[string]int{"default": 1}}
	v := mustWatch(t, open(t, client, prefix), "app", def)
	at := stepsOf(t, v)
	at.next().New.Limits["broken"] = 1
	mustPut(t, client, prefix+"/config/app", `{"limits":{"a":1}}`)
	ch := at.next()
	if len(def.Limits) != 1 || len(ch.New.Limits) != 2 {
		t.Errorf("default %v, value %v", def.Limits, ch.New.Limits)
	}
}

// TestConfigEndsWithItsSession, and is refused after it.
func TestConfigEndsWithItsSession(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	v := mustWatch(t, s, "app", byDefault)
	at := stepsOf(t, v)
	at.next()
	if err := s.Close(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := at.end(); !errors.Is(err, session.ErrClosed) {
		t.Errorf("changes ended with %v", err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if _, err := config.Watch(soon(t), s, "app", byDefault); !errors.Is(err, session.ErrClosed) {
		t.Errorf("Watch = %v", err)
	}
	if _, _, err := config.NewStore(s, "app").Get(soon(t)); !errors.Is(err, session.ErrClosed) {
		t.Errorf("Get = %v", err)
	}
}

// stamped is a tree whose keys are always written together: a reader that sees two numbers has seen half a transaction.
type stamped struct{ A, B, C int64 }

func stamp(ctx context.Context, kv clientv3.KV, below string, n int64) error {
	value := fmt.Sprint(n)
	_, err := kv.Txn(ctx).Then(clientv3.OpPut(below+"a", value), clientv3.OpPut(below+"b", value), clientv3.OpPut(below+"c", value)).Commit()
	return err
}

// stampReader checks what a value shows for as long as the test lasts.
type stampReader struct {
	value *config.Value[stamped]
	seen  atomic.Int64 // how many changes
	wg    sync.WaitGroup
}

func readStamps(t *testing.T, v *config.Value[stamped]) *stampReader {
	t.Helper()
	r := &stampReader{value: v}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); r.wg.Wait() })
	whole := func(s stamped) bool { return s.A == s.B && s.B == s.C }
	r.wg.Go(func() { // changes
		var rev int64
		for ch, err := range v.Changes(ctx) {
			if err != nil {
				return
			}
			if !whole(ch.New) || ch.Revision < rev {
				t.Errorf("after revision %d: %+v", rev, ch)
			}
			rev = ch.Revision
			r.seen.Add(1)
		}
	})
	r.wg.Go(func() { // and the value itself, as fast as it can be read by one who also lets others work
		var rev int64
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			if snap := v.Snapshot(); !whole(snap.Value) || !whole(v.Get()) || snap.Revision < rev {
				t.Errorf("after revision %d: %+v", rev, snap)
			} else {
				rev = snap.Revision
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return r
}

// TestConfigNeverShowsHalfATransaction, however fast the writers are.
func TestConfigNeverShowsHalfATransaction(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	below := prefix + "/config/app/"
	r := readStamps(t, mustWatch(t, open(t, client, prefix), "app", stamped{}, config.WithTree()))
	var n atomic.Int64
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 100 {
				if err := stamp(soon(t), client, below, n.Add(1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	last := value(t, client, below+"a")
	eventually(t, "the last stamp", func() bool { return fmt.Sprint(r.value.Get().A) == last })
	t.Logf("400 transactions were seen as %d changes", r.seen.Load())
}

// TestConfigLeavesNothingBehind is not parallel: it looks at all goroutines.
func TestConfigLeavesNothingBehind(t *testing.T) {
	c := cluster.New(t, 1)
	client := c.Client(t)
	before := len(watching())
	s := open(t, client, "etcdkit")
	for range 8 {
		v := mustWatch(t, s, "app", byDefault, config.WithReport(), config.WithLastGood(t.TempDir()+"/last"))
		for _, err := range v.Changes(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := config.Watch(ctx, s, "other/app", byDefault); err == nil {
			t.Error("Watch took no notice of its context")
		}
		awaitOnly(t, before)
	}
	if left := keys(t, client, "etcdkit/configstatus/"); len(left) > 0 {
		t.Errorf("reports of who is gone: %v", left)
	}
}
