package integration

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

func mustLease(t testing.TB, s *session.Session) *session.Lease {
	t.Helper()
	l, err := s.Lease(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// leases counts the leases in etcd.
func leases(t testing.TB, client *clientv3.Client) int {
	t.Helper()
	resp, err := client.Leases(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return len(resp.Leases)
}

func TestSessionTouchesNothingBeforeItMust(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := session.New(c.Client(t))
	if err := s.Healthy(); err != nil {
		t.Errorf("Healthy = %v", err)
	}
	if _, err := lock.List(soon(t), s); err != nil {
		t.Error(err)
	}
	if n := c.Requests("LeaseGrant"); n != 0 {
		t.Errorf("%d leases for a reader", n)
	}
	if err := s.Close(soon(t)); err != nil {
		t.Errorf("Close = %v", err)
	}
	if n := c.Requests("LeaseRevoke"); n != 0 {
		t.Errorf("%d revocations of no lease", n)
	}
}

func TestSessionKeySaysWhoWeAre(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix, session.WithLabels(map[string]string{"zone": "b"}))
	l := mustLease(t, s)
	resp, err := client.Get(soon(t), prefix+"/session/"+strconv.FormatInt(int64(l.ID()), 16))
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("session key: %v, %v", resp, err)
	}
	if kv := resp.Kvs[0]; clientv3.LeaseID(kv.Lease) != l.ID() || !strings.Contains(string(kv.Value), `"zone":"b"`) {
		t.Errorf("session key: %v", kv)
	}
	if again := mustLease(t, s); again != l {
		t.Error("a second call got another epoch")
	}
}

func TestCloseFreesEverythingAtOnce(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p")
	l := mustLease(t, s)
	h := mustLock(t, lock.NewMutex(s, "x"))
	waiting := make(chan error, 1)
	m := lock.NewMutex(s, "x")
	go func() { _, err := m.Lock(soon(t)); waiting <- err }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the usual case in a defer
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close = %v", err)
	}
	if ks := keys(t, c.Admin(), ""); len(ks) > 0 {
		t.Errorf("keys left: %v", ks)
	}
	if n := leases(t, c.Admin()); n != 0 {
		t.Errorf("%d leases left", n)
	}
	for what, err := range map[string]error{
		"lease":   context.Cause(l.Context()),
		"hold":    context.Cause(h.Context()),
		"waiter":  <-waiting,
		"healthy": s.Healthy(),
		"lock":    second(m.Lock(soon(t))),
		"try":     second(m.TryLock(soon(t))),
		"lease 2": second(s.Lease(soon(t))),
	} {
		if !errors.Is(err, session.ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	if err := s.Close(ctx); err != nil {
		t.Errorf("the second Close = %v", err)
	}
	if _, err := c.Client(t).Get(soon(t), "x"); err != nil {
		t.Errorf("the client was closed: %v", err)
	}
}

func second[A any](_ A, err error) error { return err }

func TestCloseIsBoundedWhileEtcdIsUnreachable(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p", session.WithTTL(time.Minute), session.WithGrace(300*time.Millisecond))
	h := mustLock(t, lock.NewMutex(s, "x"))
	c.Cut()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	from := time.Now()
	err := s.Close(ctx)
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	if !errors.Is(err, session.ErrUncertain) || !errors.Is(h.Err(), session.ErrClosed) {
		t.Errorf("Close = %v, the hold's Err = %v", err, h.Err())
	}
	if again := s.Close(ctx); again == nil || again.Error() != err.Error() {
		t.Errorf("the second Close = %v", again)
	}
}

// The server's minimum is used and reported.
func TestTheGrantedTTLCounts(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	l := mustLease(t, open(t, c.Client(t), "p", session.WithTTL(300*time.Millisecond)))
	if l.TTL() != time.Second {
		t.Errorf("granted TTL %v", l.TTL())
	}
	if left := time.Until(l.Deadline()); left > 850*time.Millisecond || left <= 0 {
		t.Errorf("%v left of a TTL of one second", left)
	}
}

// The session key is the fence. Whoever deletes or overwrites it outdates the fence, and nothing is lost by that.
func TestTheFenceIsMadeAgain(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	m := lock.NewMutex(s, "x")
	key := prefix + "/session/" + strconv.FormatInt(int64(mustLease(t, s).ID()), 16)
	if _, err := client.Delete(soon(t), key); err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, mustLock(t, m))
	if ks := keys(t, client, key); len(ks) != 1 {
		t.Error("the session key was not made again")
	}
	if _, err := client.Put(soon(t), key, "junk"); err != nil {
		t.Fatal(err)
	}
	h, err := m.TryLock(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, h)
}

// An outage of all members ends the epoch and not the lease: the next epoch is on the same one.
func TestLeaseSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client := c.Client(t)
	s := open(t, client, "p", session.WithTTL(2*time.Second))
	m := lock.NewMutex(s, "x")
	l := mustLease(t, s)
	h := mustLock(t, m)
	for i := range 3 {
		c.Stop(i)
	}
	done(t, "the end of the epoch", l.Context().Done())
	if !reason(session.Expired)(h.Err()) {
		t.Errorf("the hold: %v", h.Err())
	}
	c.Restart(t, 0, 1, 2)
	c.WaitLeader(t)
	again := mustLease(t, s)
	if again == l || l.Err() == nil {
		t.Error("the epoch that ended was revived")
	}
	if again.ID() != l.ID() {
		t.Logf("the lease ran out before the session could ask; a new one was granted")
	}
	// The key of the ended hold stood in the line: it must be gone before this session is granted anything.
	h2 := mustLock(t, m)
	if h2.Token() <= h.Token() {
		t.Errorf("token %d after %d", h2.Token(), h.Token())
	}
	if ks := keys(t, client, m.Key()); len(ks) != 1 {
		t.Errorf("keys %v", ks)
	}
	mustUnlock(t, h2)
}

func TestLeaderChangeKeepsTheLease(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	s := open(t, c.Client(t), "p", session.WithTTL(3*time.Second))
	l := mustLease(t, s)
	h := mustLock(t, lock.NewMutex(s, "x"))
	lead := c.WaitLeader(t)
	c.Stop(lead)
	c.WaitLeader(t)
	select {
	case <-l.Context().Done():
	case <-time.After(2 * l.TTL()): // long enough for a lease that nobody renews to end
	}
	if h.Err() != nil || l.Err() != nil {
		t.Errorf("a change of leader ended the hold: %v", h.Err())
	}
	c.Restart(t, lead)
	mustUnlock(t, h)
}

func TestBadOptionsAreTheErrorOfTheFirstCall(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	for name, test := range map[string]struct {
		opt  session.Option
		text string
	}{
		"prefix":    {session.WithPrefix("a//b"), `"a//b"`},
		"no prefix": {session.WithPrefix(""), "prefix"},
		"TTL":       {session.WithTTL(-time.Second), "TTL -1s"},
		"rate":      {session.WithRateAllowance(1), "rate allowance 1"},
		"margin":    {session.WithMargin(-1), "margin"},
		"too much":  {session.WithMargin(time.Minute), "nothing"},
		"grace":     {session.WithGrace(0), "grace"},
		"logger":    {session.WithLogger(nil), "logger"},
		"labels":    {session.WithLabels(map[string]string{"a": strings.Repeat("x", 17<<10)}), "labels"},
	} {
		s := session.New(client, test.opt)
		m := lock.NewMutex(s, "x")
		for what, err := range map[string]error{
			"Lease": second(s.Lease(soon(t))), "Lock": second(m.Lock(soon(t))), "TryLock": second(m.TryLock(soon(t))),
			"Owners": second(m.Owners(soon(t))), "List": second(lock.List(soon(t), s)), "Healthy": s.Healthy(),
		} {
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%s: %s = %v", name, what, err)
			}
		}
		if err := s.Close(soon(t)); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
	}
	s := session.New(nil)
	if _, err := lock.NewMutex(s, "x").Lock(soon(t)); err == nil || !strings.Contains(err.Error(), "client") {
		t.Errorf("no client: %v", err)
	}
}

func TestBadNamesAreTheErrorOfTheFirstCall(t *testing.T) {
	t.Parallel()
	s := open(t, cluster.Shared(t), cluster.Prefix(t))
	for _, name := range []string{"", "/", "a//b", "a/../b", ".", "nul\x00", strings.Repeat("x", 513)} {
		m := lock.NewMutex(s, name)
		for what, err := range map[string]error{
			"Lock": second(m.Lock(soon(t))), "TryLock": second(m.TryLock(soon(t))), "Owners": second(m.Owners(soon(t))),
			"Break": second(lock.Break(soon(t), s, name)),
		} {
			if !errors.Is(err, session.ErrBadName) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s(%.20q) = %v", what, name, err)
			}
		}
	}
	if _, err := lock.NewMutex(s, "x", lock.WithKey("")).Lock(soon(t)); !errors.Is(err, session.ErrBadName) {
		t.Errorf("WithKey of nothing: %v", err)
	}
}

// A client that is wrapped by namespace works, waits and all, and stays within its namespace.
func TestNamespacedClient(t *testing.T) {
	t.Parallel()
	raw, ns := cluster.Shared(t), cluster.Prefix(t)+"/ns/"
	wrap := func() *clientv3.Client {
		c := cluster.Shared(t)
		c.KV, c.Watcher, c.Lease = namespace.NewKV(c.KV, ns), namespace.NewWatcher(c.Watcher, ns), namespace.NewLease(c.Lease, ns)
		return c
	}
	a, b := lock.NewMutex(open(t, wrap(), "p"), "x"), lock.NewMutex(open(t, wrap(), "p"), "x")
	h := mustLock(t, a)
	held := async(t, b)
	awaitWaiters(t, a, 2)
	if ks := keys(t, raw, ns+"p/lock/x/@/"); len(ks) != 2 {
		t.Errorf("keys in the namespace: %v", ks)
	}
	mustUnlock(t, h)
	h = next(t, held)
	if _, err := lock.Break(soon(t), open(t, wrap(), "p"), "x"); err != nil {
		t.Fatal(err)
	}
	done(t, "the end of a broken hold", h.Context().Done())
}

// A refused permission is the error of the call, names key and permission, and leaves nothing behind.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	_, root, user := guarded(t)
	before := leases(t, root)
	s := open(t, user, "nowhere")
	_, err := lock.NewMutex(s, "x").Lock(soon(t))
	if !errors.Is(err, rpctypes.ErrPermissionDenied) || !strings.Contains(err.Error(), "nowhere/session/") {
		t.Errorf("Lock = %v", err)
	}
	if n := leases(t, root) - before; n != 0 {
		t.Errorf("%d leases left", n)
	}
}

// renewals counts nothing: streams are not unary. The lease stays although every transaction fails.
func TestRenewalsNeedNoTransactions(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	s := open(t, client, "p", session.WithTTL(time.Second))
	l := mustLease(t, s)
	hold := faults.Hold(func(_ string, req any) bool { _, ok := req.(*etcdserverpb.TxnRequest); return ok })
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // longer than the TTL, and less than until it is sent again
	defer cancel()
	if _, err := lock.NewMutex(s, "x").Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock = %v", err)
	}
	if l.Err() != nil {
		t.Errorf("the lease: %v", l.Err())
	}
	_ = hold.Release()
}
