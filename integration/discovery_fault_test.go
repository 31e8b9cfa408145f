package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

const apiLine = "etcdkit/discovery/api/@/"

// fleet registers so many instances, each with a session of its own.
func fleet(t testing.TB, client *clientv3.Client, n int, opts ...session.Option) (all []*discovery.Registration) {
	t.Helper()
	for i := range n {
		s := open(t, client, "etcdkit", opts...)
		all = append(all, mustRegister(t, s, "api", discovery.Instance{ID: fmt.Sprint("i", i), Addr: fmt.Sprintf("10.0.0.%d:80", i+1)}))
	}
	return all
}

// leaseOf returns the lease of a key, zero if it is not there.
func leaseOf(t testing.TB, client *clientv3.Client, key string) clientv3.LeaseID {
	t.Helper()
	resp, err := client.Get(soon(t), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return 0
	}
	return clientv3.LeaseID(resp.Kvs[0].Lease)
}

// awaitStaleView waits until a view is known to be in step with etcd, or not to be.
func awaitStaleView(t testing.TB, v *discovery.View, want bool) {
	t.Helper()
	awaitSnapshot(t, v, fmt.Sprintf("stale is %v", want), func(s *discovery.Snapshot) bool { return s.StaleSince.IsZero() != want })
}

// never notes whether a view ever shows fewer than n, until the returned function is called.
func never(t testing.TB, v *discovery.View, n int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		last := int64(0)
		for ch, err := range v.Changes(ctx) {
			if err != nil {
				return
			}
			if got := len(ch.Snapshot.Instances); got < n {
				t.Errorf("the view shrank to %d: %+v", got, ch.Removed)
			}
			if ch.Snapshot.Revision < last {
				t.Errorf("revision %d after %d", ch.Snapshot.Revision, last)
			}
			last = ch.Snapshot.Revision
		}
	}()
	return func() { cancel(); <-done }
}

// TestDiscoveryOutlivesAnOutage of the whole cluster that is longer than the TTL: no live instance is seen to leave, by anybody (F9, D1, D2).
func TestDiscoveryOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client := c.Client(t)
	all := fleet(t, client, 6, session.WithTTL(2*time.Second))
	v := mustView(t, open(t, c.Client(t), "etcdkit"), "api")
	stop := never(t, v, 6)
	before := map[string]clientv3.LeaseID{}
	for _, r := range all {
		before[r.Instance().ID] = leaseOf(t, client, apiLine+r.Instance().ID)
	}
	resp, err := client.Get(soon(t), "any")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c.Stop(i)
	}
	awaitStaleView(t, v, true)
	for _, r := range all {
		eventually(t, "the loss of the lease", func() bool { return errors.Is(r.Err(), session.ErrLost) })
	}
	if snap := v.Snapshot(); snap.Err == nil || len(snap.Instances) != 6 {
		t.Errorf("in the outage: %+v", snap)
	}
	c.Restart(t, 0, 1, 2)
	c.WaitLeader(t)
	for _, r := range all {
		eventually(t, "it is registered again", func() bool { return r.Err() == nil })
	}
	awaitStaleView(t, v, false)
	mustPut(t, client, apiLine+"end", "{}")
	var events []*clientv3.Event
	for answer := range client.Watch(soon(t), apiLine, clientv3.WithPrefix(), clientv3.WithRev(resp.Header.Revision+1)) {
		events = append(events, answer.Events...)
		if n := len(events); n > 0 && strings.HasSuffix(string(events[n-1].Kv.Key), "end") {
			break
		}
	}
	if gone := deletedKeys(events); len(gone) > 0 {
		t.Errorf("the referee saw live instances leave: %q", gone)
	}
	for _, r := range all {
		if now := leaseOf(t, client, apiLine+r.Instance().ID); now != before[r.Instance().ID] {
			t.Errorf("%s is under lease %x instead of %x", r.Instance().ID, now, before[r.Instance().ID])
		}
	}
	stop()
}

// TestDiscoveryKeepsItsID when the lease was lost for good.
func TestDiscoveryKeepsItsID(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "etcdkit", session.WithTTL(2*time.Second))
	r := mustRegister(t, s, "api", discovery.Instance{Addr: "a:1"})
	key := apiLine + r.Instance().ID
	first := leaseOf(t, c.Admin(), key)
	ref := newReferee(t, c.Admin(), apiLine)
	c.Cut()
	ref.until("the end of the lease", deleted(key))
	c.Heal()
	eventually(t, "it is registered again", func() bool { return r.Err() == nil })
	if now := leaseOf(t, c.Admin(), key); now == 0 || now == first {
		t.Errorf("it is under lease %x, and was under %x", now, first)
	}
}

// TestDiscoveryOutlivesLeaders: nothing is seen of it (F3, F5).
func TestDiscoveryOutlivesLeaders(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client := c.Client(t)
	fleet(t, client, 4, session.WithTTL(10*time.Second))
	v := mustView(t, open(t, c.Client(t), "etcdkit"), "api")
	stop := never(t, v, 4)
	ref := newReferee(t, c.Client(t), apiLine)
	c.MoveLeader(t, (c.WaitLeader(t)+1)%3)
	leader := c.WaitLeader(t)
	c.Stop(leader)
	c.WaitLeader(t)
	c.Restart(t, leader)
	lonely := (c.WaitLeader(t) + 1) % 3
	c.Isolate(lonely)
	put(t, client, "any", "1")
	c.Rejoin(lonely)
	c.WaitLeader(t)
	put(t, client, apiLine+"end", "{}")
	if seen := ref.until("the end", func(ev *clientv3.Event) bool { return strings.HasSuffix(string(ev.Kv.Key), "end") }); len(seen) != 1 {
		t.Errorf("the referee saw %v", seen)
	}
	awaitStaleView(t, v, false)
	stop()
}

// TestDiscoveryHalfOpen: the way to etcd swallows everything, and answers later (F7, F8).
func TestDiscoveryHalfOpen(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	all := fleet(t, c.Client(t), 1)
	v := mustView(t, open(t, c.Client(t), "etcdkit"), "api")
	stop := never(t, v, 1)
	c.Blackhole()
	awaitStaleView(t, v, true)
	eventually(t, "the loss of the lease", func() bool { return all[0].Err() != nil })
	stop()
	c.Unblackhole()
	eventually(t, "it is registered again", func() bool { return all[0].Err() == nil })
	awaitIDs(t, v, "i0")
	awaitStaleView(t, v, false)
}

// TestDiscoverySeesWhatItMissed although compaction took it out of the history (F10).
func TestDiscoverySeesWhatItMissed(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	admin := c.Admin()
	for i := range 6 {
		mustPut(t, admin, fmt.Sprint(apiLine, i), `{"addr":"a:1"}`)
	}
	v := mustView(t, open(t, c.Client(t), "etcdkit"), "api")
	c.Cut()
	awaitStaleView(t, v, true)
	mustDelete(t, admin, apiLine+"0")
	mustPut(t, admin, apiLine+"1", `{"addr":"b:1"}`)
	mustPut(t, admin, apiLine+"6", `{"addr":"c:1"}`)
	c.Compact(t)
	c.Heal()
	snap := awaitIDs(t, v, "1 2 3 4 5 6")
	if snap.Instances[0].Addr != "b:1" {
		t.Errorf("instances %+v", snap.Instances)
	}
	awaitStaleView(t, v, false)
}

// TestDiscoveryWithoutRights: what was read stays, and everybody is told (F14).
func TestDiscoveryWithoutRights(t *testing.T) {
	t.Parallel()
	c, root, user := guarded(t)
	s := open(t, user, "mine", session.WithTTL(2*time.Second))
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	v := mustView(t, s, "api")
	right := clientv3.PermissionType(clientv3.PermReadWrite)
	if _, err := root.RoleRevokePermission(soon(t), "role", "mine/", "mine0"); err != nil {
		t.Fatal(err)
	}
	c.Cut()
	c.Heal()
	eventually(t, "the view knows", func() bool { return errors.Is(v.Snapshot().Err, rpctypes.ErrPermissionDenied) })
	if snap := v.Snapshot(); ids(snap.Instances) != "a" || snap.StaleSince.IsZero() {
		t.Errorf("without rights: %+v", snap)
	}
	eventually(t, "the registration knows", func() bool { return r.Err() != nil })
	if err := r.Update(soon(t), discovery.Instance{Addr: "b:1"}); err == nil {
		t.Error("an update without rights is done")
	}
	if _, err := root.RoleGrantPermission(soon(t), "role", "mine/", "mine0", right); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the registration is back", func() bool { return r.Err() == nil })
	if got := mustView(t, s, "api").Instances(); len(got) != 1 || got[0].Addr != "b:1" {
		t.Errorf("with the rights back: %+v", got)
	}
	if _, err := root.RoleRevokePermission(soon(t), "role", "mine/", "mine0"); err != nil {
		t.Fatal(err)
	}
	if err := r.Deregister(soon(t)); !errors.Is(err, rpctypes.ErrPermissionDenied) || !errors.Is(err, session.ErrUncertain) {
		t.Errorf("Deregister = %v", err)
	}
	if _, err := discovery.Register(soon(t), s, "other", discovery.Instance{Addr: "a:1"}); err == nil {
		t.Error("it can register without rights")
	}
}

// TestDiscoveryInAFullStore: who is registered stays, and can leave (F11).
func TestDiscoveryInAFullStore(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1, cluster.SmallQuota)
	client := c.Client(t)
	s := open(t, client, "etcdkit")
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	other := mustRegister(t, s, "api", discovery.Instance{ID: "b", Addr: "a:1"})
	v := mustView(t, s, "api")
	c.FillSpace(t)
	_, err := discovery.Register(soon(t), s, "api", discovery.Instance{ID: "c", Addr: "c:1"})
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("Register = %v", err)
	}
	if err := r.Update(soon(t), discovery.Instance{Addr: "a:2"}); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("Update = %v", err)
	}
	if err := other.Deregister(soon(t)); err != nil {
		t.Errorf("Deregister = %v", err)
	}
	awaitIDs(t, v, "a")
	c.FreeSpace(t)
	eventually(t, "the update", func() bool { return r.Err() == nil && strings.Contains(value(t, client, apiLine+"a"), "a:2") })
	eventually(t, "what the failed one may have left is gone", func() bool { return s.Hub().Idle(soon(t)) == nil && value(t, client, apiLine+"c") == "" })
}

// TestDiscoverySlowLink: nothing happens to anybody (F8, F12).
func TestDiscoverySlowLink(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	c.Delay(300 * time.Millisecond)
	client := c.Client(t)
	ref := newReferee(t, c.Admin(), apiLine)
	s := open(t, client, "etcdkit", session.WithTTL(5*time.Second))
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	v := mustView(t, s, "api")
	for i := range 3 {
		if err := r.Update(soon(t), discovery.Instance{Addr: fmt.Sprint("a:", i+2)}); err != nil {
			t.Error(err)
		}
	}
	awaitSnapshot(t, v, "the last update", func(s *discovery.Snapshot) bool { return len(s.Instances) == 1 && s.Instances[0].Addr == "a:4" })
	if err := r.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	if seen := ref.until("the end", deleted(apiLine+"a")); len(seen) != 6 {
		t.Errorf("the referee saw %d events: %v", len(seen), seen)
	}
}

// TestDiscoveryLateRegister: a registration that failed, or was taken back, leaves nothing although it commits later.
func TestDiscoveryLateRegister(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)
	s := open(t, client, prefix)
	key := prefix + "/discovery/api/@/a"
	if _, err := s.Lease(soon(t)); err != nil {
		t.Fatal(err)
	}
	// The first try is sent late, and the second one finds the key absent and makes it.
	late := faults.SendLate(puts(key))
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	if err := r.Deregister(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := late.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if got := value(t, client, key); got != "" {
		t.Errorf("a registration that was taken back stands there: %s", got)
	}

	ctx, cancel := context.WithCancel(soon(t))
	late = faults.SendLate(func(method string, req any) bool {
		if puts(key)(method, req) {
			cancel()
			return true
		}
		return false
	})
	if _, err := discovery.Register(ctx, s, "api", discovery.Instance{ID: "a", Addr: "a:1"}); !errors.Is(err, session.ErrUncertain) || !errors.Is(err, context.Canceled) {
		t.Errorf("Register = %v", err)
	}
	if err := s.Hub().Idle(soon(t)); err != nil {
		t.Error(err)
	}
	if err := late.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if got := value(t, client, key); got != "" {
		t.Errorf("a registration that failed stands there: %s", got)
	}

	// A late update does not undo a later one.
	r = mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	late = faults.SendLate(puts(key))
	if err := r.Update(soon(t), discovery.Instance{Addr: "a:2"}); err != nil {
		t.Error(err)
	}
	if err := r.Update(soon(t), discovery.Instance{Addr: "a:3"}); err != nil {
		t.Error(err)
	}
	if err := late.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if got := value(t, client, key); !strings.Contains(got, "a:3") {
		t.Errorf("after a late update: %s", got)
	}
	// A deletion whose answer is lost is sent again.
	faults.LoseReply(deletes(key))
	if err := r.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	if got := value(t, client, key); got != "" {
		t.Errorf("after Deregister: %s", got)
	}
}

// TestDiscoveryDeregisterInAnOutage ends with its ctx, and is made up for.
func TestDiscoveryDeregisterInAnOutage(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "etcdkit", session.WithTTL(60*time.Second))
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	ref := newReferee(t, c.Admin(), apiLine)
	c.Cut()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	if err := r.Deregister(over); !errors.Is(err, session.ErrUncertain) {
		t.Errorf("Deregister = %v", err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	c.Heal()
	seen := ref.until("the deletion", deleted(apiLine+"a"))
	if len(seen) != 2 || !strings.Contains(string(seen[0].Kv.Value), "leaving") {
		t.Errorf("the referee saw %v", seen)
	}
}

// TestDiscoveryInARewoundHistory: a view keeps what it has, and says so; who is registered sees to it that it is there again (F19).
func TestDiscoveryInARewoundHistory(t *testing.T) {
	t.Parallel()
	c, rewind := rewindable(t)
	client := c.Client(t)
	s := open(t, client, "etcdkit", session.WithTTL(2*time.Second))
	fill(t, c.Admin(), "etcdkit/many/", 500) // so that what is there afterwards is older
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	v := mustView(t, s, "api")
	rewind()
	eventually(t, "the view knows", func() bool { return errors.Is(v.Snapshot().Err, discovery.ErrRewound) })
	if snap := v.Snapshot(); ids(snap.Instances) != "a" || snap.StaleSince.IsZero() {
		t.Errorf("rewound: %+v", snap)
	}
	for _, err := range v.Changes(soon(t)) {
		if err != nil {
			if !errors.Is(err, discovery.ErrRewound) {
				t.Errorf("changes ended with %v", err)
			}
			break
		}
	}
	eventually(t, "it is registered again", func() bool { return r.Err() == nil && value(t, client, apiLine+"a") != "" })
	awaitIDs(t, mustView(t, s, "api"), "a")
	if err := r.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
}
