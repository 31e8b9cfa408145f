package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc/connectivity"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// sides runs one scenario on our packages, which must pass, and on etcd's, which must show the defect: a positive control, without
// which the first half could be green for want of a fault.
//
//	D1  two holders in one session                        TestDefectSameSession
//	D2  a late unlock deletes a newer hold                TestDefectLateUnlock
//	D3  a waiter whose session is dead waits on           TestDefectDeadSessionWaits
//	D4  Lock outlives its context while etcd is away      TestDefectContextIgnored
//	D5  a lost reply leaves a lock that nobody can free   TestDefectOrphan
//	D6  a TryLock that fails writes                       TestDefectTryLockWrites
//	D7  nobody tells the holder that its key is gone      TestDefectSilentLoss
//	D8  no fencing token                                  TestDefectNoToken
//	D9  a waiter on a cut-off member is never served      TestDefectCutOffMember
//	D10 a waiter is thrown out by a compaction            TestDefectCompaction
//	L5  a grant without a key: a phantom                  TestDefectPhantom
func sides(t *testing.T, ours, theirs func(*testing.T)) {
	t.Helper()
	t.Run("ours", func(t *testing.T) { t.Parallel(); ours(t) })
	t.Run("etcd's", func(t *testing.T) { t.Parallel(); theirs(t) })
}

// notShown fails a positive control.
func notShown(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Errorf("etcd's package does not show the defect (fixed in this version? then say so in the table of defects): "+format, args...)
}

// quiet is how long a test looks on where nothing should happen.
const quiet = 2 * time.Second

// theirSession returns a session of etcd's package, and closes it with the test.
func theirSession(t *testing.T, client *clientv3.Client) *concurrency.Session {
	t.Helper()
	s, err := concurrency.NewSession(client, concurrency.WithTTL(5))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // the lease may be gone
	return s
}

// theirMutex returns a mutex of etcd's package with a session of its own.
func theirMutex(t *testing.T, client *clientv3.Client, key string) *concurrency.Mutex {
	t.Helper()
	return concurrency.NewMutex(theirSession(t, client), key)
}

// must fails the test if a step of its scenario did.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// told is a Watcher that tells the key of each watch once the server has it.
type told struct {
	clientv3.Watcher
	opened chan string
}

func (w told) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	watch := w.Watcher.Watch(ctx, key, opts...)
	w.opened <- key
	return watch
}

// waiter is who waits for a lock that a stranger holds.
type waiter struct {
	t      *testing.T
	client *clientv3.Client // of the waiter
	admin  *clientv3.Client // of the stranger
	opened <-chan string
	key    string // of the stranger
	result chan error
}

// newWaiter prepares a client for standing in the line at key, which a stranger has taken.
func newWaiter(t *testing.T, client, admin *clientv3.Client, key string) *waiter {
	t.Helper()
	watcher := told{client.Watcher, make(chan string, 1000)}
	client.Watcher = watcher
	w := &waiter{t: t, client: client, admin: admin, opened: watcher.opened, key: key + "/stranger", result: make(chan error, 1)}
	put(t, admin, w.key, "")
	return w
}

// wait calls lock and returns when it watches the stranger's key.
func (w *waiter) wait(ctx context.Context, lock func(context.Context) error) {
	w.t.Helper()
	go func() { w.result <- lock(ctx) }()
	for {
		select {
		case key := <-w.opened:
			if key == w.key {
				return
			}
		case err := <-w.result:
			w.t.Fatalf("Lock behind a stranger = %v", err)
		case <-time.After(patience):
			w.t.Fatal("nobody watches the stranger's key")
		}
	}
}

// free lets the stranger go.
func (w *waiter) free() {
	w.t.Helper()
	_, err := w.admin.Delete(soon(w.t), w.key)
	must(w.t, err)
}

// returned waits for what Lock returns.
func (w *waiter) returned() error {
	w.t.Helper()
	return w.within(patience)
}

// within is returned for those who must be quick.
func (w *waiter) within(d time.Duration) error {
	w.t.Helper()
	select {
	case err := <-w.result:
		return err
	case <-time.After(d):
		w.t.Fatalf("Lock did not return within %v", d)
		return nil
	}
}

// staysQuiet is the control of those defects in which Lock does not return.
func (w *waiter) staysQuiet() {
	w.t.Helper()
	select {
	case err := <-w.result:
		notShown(w.t, "Lock returned %v", err)
		w.result <- err
	case <-time.After(quiet):
	}
}

// deletes matches requests that delete a key below the prefix, alone or in a transaction.
func deletes(prefix string) cluster.Match {
	below := func(r *etcdserverpb.DeleteRangeRequest) bool {
		return r != nil && strings.HasPrefix(string(r.Key), prefix)
	}
	return func(_ string, req any) bool {
		switch req := req.(type) {
		case *etcdserverpb.DeleteRangeRequest:
			return below(req)
		case *etcdserverpb.TxnRequest:
			for _, op := range req.Success {
				if below(op.GetRequestDeleteRange()) {
					return true
				}
			}
		}
		return false
	}
}

// valid reports whether a transaction with this condition goes through.
func valid(t *testing.T, client *clientv3.Client, guard clientv3.Cmp) bool {
	t.Helper()
	resp, err := client.Txn(soon(t)).If(guard).Commit()
	must(t, err)
	return resp.Succeeded
}

// keyOf returns the key that makes the holder the holder.
func keyOf(h *lock.Hold) string {
	guard := h.Guard()
	return string(guard.KeyBytes())
}

// givesUp leaves the line while etcd cannot be reached and the client has noticed that. Before, a request could still go down with the
// connection, and fail at once.
func givesUp(t *testing.T, c *cluster.Cluster, w *waiter, take func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	w.wait(ctx, take)
	c.Cut()
	if !w.client.ActiveConnection().WaitForStateChange(ctx, connectivity.Ready) {
		t.Fatal("void: the client is still connected")
	}
	cancel()
}

// compactAway compacts what happened while the clients were cut off, past their watches.
func compactAway(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	c.Cut()
	for range 5 {
		put(t, c.Admin(), "noise", "")
	}
	c.Compact(t)
	c.Heal()
}
