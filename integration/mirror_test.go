package integration

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"etcdkit/integration/cluster"
	"etcdkit/internal/mirror"
)

// quick is how often mirrors are checked in these tests: they are to see what takes 30 s in life.
const quick = 100 * time.Millisecond

// mirrorOf runs a mirror until the test ends. The channel gets Run's error.
func mirrorOf(t *testing.T, client *clientv3.Client, prefix string) (*mirror.Mirror, <-chan error) {
	t.Helper()
	m := mirror.New(client, prefix, slog.New(slog.DiscardHandler))
	m.CheckEvery = quick
	return m, runMirror(t, m)
}

func runMirror(t *testing.T, m *mirror.Mirror) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ran <- m.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return ran
}

// follower is one walk over a mirror's updates, and the state that it was told.
type follower struct {
	t        *testing.T
	pull     func() (*mirror.Update, error, bool)
	state    map[string]string
	revision int64
	resynced int // how many updates came from a new list
}

func follow(t *testing.T, m *mirror.Mirror) *follower {
	t.Helper()
	pull, stop := iter.Pull2(m.Updates(soon(t)))
	t.Cleanup(stop)
	return &follower{t: t, pull: pull, state: map[string]string{}}
}

// step takes one update in and checks that it goes on from the one before.
func (f *follower) step() *mirror.Update {
	f.t.Helper()
	u, err, _ := f.pull()
	if err != nil {
		f.t.Fatalf("updates ended: %v", err)
	}
	if u.Revision < f.revision {
		f.t.Errorf("revision %d after %d", u.Revision, f.revision)
	}
	f.revision = u.Revision
	if u.Resynced {
		f.resynced++
	}
	for _, i := range u.Deletes {
		if f.state[i.Key] != string(i.Value) {
			f.t.Errorf("%s was deleted as %q, but was told as %q", i.Key, i.Value, f.state[i.Key])
		}
		delete(f.state, i.Key)
	}
	for _, p := range u.Puts {
		if before, ok := f.state[p.Key]; ok != (p.Prev != nil) || ok && before != string(p.Prev.Value) {
			f.t.Errorf("%s was put over %v, but was told as %q, %v", p.Key, p.Prev, before, ok)
		}
		f.state[p.Key] = string(p.Value)
	}
	return u
}

// until takes updates in until a key has a value; "" means that it is gone.
func (f *follower) until(key, value string) {
	f.t.Helper()
	for f.state[key] != value {
		f.step()
	}
}

// ends takes updates in until their error.
func (f *follower) ends() error {
	f.t.Helper()
	for {
		switch u, err, ok := f.pull(); {
		case err != nil:
			return err
		case !ok:
			f.t.Fatal("updates ended without an error")
		default:
			f.revision = u.Revision
			for _, p := range u.Puts {
				f.state[p.Key] = string(p.Value)
			}
		}
	}
}

// equals checks the told state against etcd's.
func (f *follower) equals(client *clientv3.Client, prefix string) {
	f.t.Helper()
	resp, err := client.Get(soon(f.t), prefix, clientv3.WithPrefix())
	if err != nil {
		f.t.Fatal(err)
	}
	if len(resp.Kvs) != len(f.state) {
		f.t.Errorf("was told of %d keys, etcd has %d", len(f.state), len(resp.Kvs))
	}
	for _, kv := range resp.Kvs {
		if f.state[string(kv.Key)] != string(kv.Value) {
			f.t.Errorf("%s was told as %q, etcd has %q", kv.Key, f.state[string(kv.Key)], kv.Value)
		}
	}
}

// awaitStep waits until a mirror is in step, or is not.
func awaitStep(t *testing.T, m *mirror.Mirror, want bool) {
	t.Helper()
	ctx := soon(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for (m.Stale() == 0) != want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the mirror is stale for %v", m.Stale())
		}
	}
}

func mustPut(t testing.TB, kv clientv3.KV, key, value string) {
	t.Helper()
	if _, err := kv.Put(soon(t), key, value); err != nil {
		t.Fatal(err)
	}
}

func mustDelete(t testing.TB, kv clientv3.KV, key string) {
	t.Helper()
	if _, err := kv.Delete(soon(t), key); err != nil {
		t.Fatal(err)
	}
}

// fill writes n keys.
func fill(t testing.TB, kv clientv3.KV, prefix string, n int) {
	t.Helper()
	const batch = 100 // below the 128 operations of a transaction
	for begin := 0; begin < n; begin += batch {
		var ops []clientv3.Op
		for i := begin; i < min(begin+batch, n); i++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s%06d", prefix, i), "v"))
		}
		if _, err := kv.Txn(soon(t)).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// inNamespace returns a client whose keys all stand below a prefix, as a user may hand it to a session. It cannot stream lists.
func inNamespace(client *clientv3.Client, prefix string) *clientv3.Client {
	c := clientv3.NewCtxClient(client.Ctx())
	c.KV = namespace.NewKV(client.KV, prefix)
	c.Watcher = namespace.NewWatcher(client.Watcher, prefix)
	c.Lease = namespace.NewLease(client.Lease, prefix)
	return c
}

func TestMirrorFollows(t *testing.T) {
	t.Parallel()
	plain := func(c *clientv3.Client, _ string) *clientv3.Client { return c }
	tests := []struct {
		name   string
		client func(*clientv3.Client, string) *clientv3.Client
		keys   int
	}{
		{"nothing", plain, 0},
		{"streamed", plain, 10_000},
		{"namespaced and paged", inNamespace, 10_000},
		{"exactly a page", inNamespace, 1000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := test.client(cluster.Shared(t), cluster.Prefix(t)+"/")
			prefix := cluster.Prefix(t) + "/"
			fill(t, client, prefix, test.keys)
			mustPut(t, client, strings.TrimSuffix(prefix, "/")+"0", "a neighbor") // the first key after the prefix
			m, _ := mirrorOf(t, client, prefix)
			f := follow(t, m)
			if u := f.step(); len(f.state) != test.keys || u.Resynced {
				t.Fatalf("the first update has %d keys, resynced %v; want all %d", len(f.state), u.Resynced, test.keys)
			}
			mustPut(t, client, prefix+"000000", "w")
			mustPut(t, client, prefix+"new", "x")
			mustDelete(t, client, prefix+"000001")
			f.until(prefix+"new", "x")
			f.until(prefix+"000001", "")
			f.equals(client, prefix)
			if f.resynced > 0 {
				t.Errorf("%d lists without a reason", f.resynced)
			}
			s, err := m.Snapshot(soon(t))
			if err != nil || s.Len() != len(f.state) || string(s.Get(prefix+"new").Value) != "x" {
				t.Errorf("Snapshot = %d items, %v; want %d", s.Len(), err, len(f.state))
			}
			awaitStep(t, m, true)
		})
	}
}

// TestMirrorNeverSplitsATransaction: each one writes the same value to three keys, or deletes all three.
func TestMirrorNeverSplitsATransaction(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)+"/"
	m, _ := mirrorOf(t, client, prefix)
	names := []string{prefix + "a", prefix + "b", prefix + "c"}
	const least, last = 20, "last"
	var updates atomic.Int64
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 1; ; i++ { // until the follower, which gets a backlog in one, has come often enough
			value := fmt.Sprint(i)
			if i > 600 && updates.Load() >= least {
				value = last
			}
			var ops []clientv3.Op
			for _, name := range names {
				if i%7 == 0 && value != last {
					ops = append(ops, clientv3.OpDelete(name))
				} else {
					ops = append(ops, clientv3.OpPut(name, value))
				}
			}
			if _, err := client.Txn(t.Context()).Then(ops...).Commit(); err != nil {
				t.Error(err)
				return
			}
			if value == last {
				return
			}
		}
	})
	defer writer.Wait()
	for f := follow(t, m); f.state[names[0]] != last; updates.Add(1) {
		if f.step(); f.state[names[0]] != f.state[names[1]] || f.state[names[0]] != f.state[names[2]] {
			t.Fatalf("at revision %d: %v", f.revision, f.state)
		}
	}
}

func TestMirrorFoldsForTheSlow(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)+"/"
	mustPut(t, client, prefix+"gone", "1")
	m, _ := mirrorOf(t, client, prefix)
	slow, quick := follow(t, m), follow(t, m)
	slow.step()
	for i := range 1000 {
		mustPut(t, client, fmt.Sprintf("%s%d", prefix, i%10), fmt.Sprint(i))
	}
	mustDelete(t, client, prefix+"gone")
	mustPut(t, client, prefix+"last", "1")
	quick.until(prefix+"last", "1")
	if u := slow.step(); len(u.Puts) != 11 || len(u.Deletes) != 1 {
		t.Errorf("1002 changes came as %d puts and %d deletes, want 11 and 1", len(u.Puts), len(u.Deletes))
	}
	slow.equals(client, prefix)
}

// mute is a Watcher whose channels close without a word when told to.
type mute struct {
	clientv3.Watcher
	mu      sync.Mutex // protects what follows
	cancels []context.CancelFunc
	opened  atomic.Int64
}

func (w *mute) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	ctx, cancel := context.WithCancel(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened.Add(1)
	w.cancels = append(w.cancels, cancel)
	return w.Watcher.Watch(ctx, key, opts...)
}

func (w *mute) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cancel := range w.cancels {
		cancel()
	}
}

func TestMirrorOutlivesASilentClose(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)+"/"
	watcher := &mute{Watcher: client.Watcher}
	client.Watcher = watcher
	m, _ := mirrorOf(t, client, prefix)
	f := follow(t, m)
	for round := range 5 {
		key := fmt.Sprint(prefix, round)
		mustPut(t, client, key, "1")
		f.until(key, "1")
		watcher.hangUp()
		mustDelete(t, client, key)
		f.until(key, "")
	}
	if watcher.opened.Load() < 5 {
		t.Errorf("%d watches: nothing was closed", watcher.opened.Load())
	}
}
