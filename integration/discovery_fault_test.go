package integration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"

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

// TestDiscoveryMassLoss: most of the fleet vanishes without a word, and stays until it does not answer (D5).
func TestDiscoveryMassLoss(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	line := prefix + "/discovery/api/@/"
	join := func(n int) {
		for i := range n {
			mustPut(t, client, fmt.Sprint(line, i), fmt.Sprintf(`{"addr":"10.0.0.%d:80","ttl":2}`, i+1))
		}
	}
	vanish := func(ids ...int) {
		for _, i := range ids {
			mustDelete(t, client, fmt.Sprint(line, i))
		}
	}
	s := open(t, client, prefix)
	var asked atomic.Int64
	probe := func(_ context.Context, inst discovery.Instance) error {
		asked.Add(1)
		if inst.ID == "5" {
			return errors.New("dead")
		}
		return nil
	}
	join(8)
	v, probing := mustView(t, s, "api"), mustView(t, s, "api", discovery.WithProbe(probe))
	vanish(0, 1, 2, 3) // half of them is no mass loss
	awaitIDs(t, v, "4 5 6 7")
	join(4)
	awaitIDs(t, v, "0 1 2 3 4 5 6 7")
	for i := range 5 {
		mustPut(t, client, fmt.Sprint(line, i), `{"addr":"a:1","ttl":2,"state":"leaving"}`)
		vanish(i) // who says so may go
	}
	awaitIDs(t, v, "5 6 7")
	join(8)
	awaitIDs(t, v, "0 1 2 3 4 5 6 7")
	vanish(1, 2, 3, 5, 6, 7)
	snap := awaitSnapshot(t, v, "a probation", func(s *discovery.Snapshot) bool { return len(s.Probation) == 6 })
	if ids(snap.Instances) != "0 1 2 3 4 5 6 7" || !errors.Is(snap.Err, discovery.ErrMassLoss) || !snap.StaleSince.IsZero() {
		t.Errorf("mass loss: %+v", snap)
	}
	awaitSnapshot(t, probing, "the probe finds who is dead", func(s *discovery.Snapshot) bool { return len(s.Probation) == 5 && ids(s.Instances) == "0 1 2 3 4 6 7" })
	v.Report(snap.Instances[1], context.Canceled)
	v.Report(snap.Instances[1], nil)
	v.Report(snap.Instances[0], errors.New("of one that is well"))
	if got := ids(v.Instances()); got != "0 1 2 3 4 5 6 7" {
		t.Errorf("after nothing: %q", got)
	}
	v.Report(snap.Instances[1], errors.New("connection refused"))
	if got := ids(v.Instances()); got != "0 2 3 4 5 6 7" {
		t.Errorf("after a failed connection: %q", got)
	}
	mustPut(t, client, line+"2", `{"addr":"10.0.0.3:80","ttl":2}`)
	awaitSnapshot(t, v, "one comes back", func(s *discovery.Snapshot) bool { _, held := s.Probation["2"]; return !held })
	snap = awaitIDs(t, v, "0 2 4") // after two TTLs
	if len(snap.Probation) != 0 || snap.Err != nil {
		t.Errorf("afterwards: %+v", snap)
	}
	if asked.Load() < 6 {
		t.Errorf("the probe was asked %d times", asked.Load())
	}
}

// TestDiscoveryTwoOfWhichOneDies is no mass loss, and who died is gone as soon as its lease is (D3).
func TestDiscoveryTwoOfWhichOneDies(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	dying := c.Client(t)
	ttl := session.WithTTL(2 * time.Second)
	mustRegister(t, open(t, c.Admin(), "etcdkit", ttl), "api", discovery.Instance{ID: "a", Addr: "a:1"})
	mustRegister(t, open(t, dying, "etcdkit", ttl), "api", discovery.Instance{ID: "b", Addr: "b:1"})
	v := mustView(t, open(t, c.Admin(), "etcdkit"), "api")
	awaitIDs(t, v, "a b")
	c.Cut()
	defer c.Heal()
	cut := time.Now()
	snap := awaitIDs(t, v, "a")
	if len(snap.Probation) > 0 || snap.Err != nil {
		t.Errorf("%+v", snap)
	}
	if took := time.Since(cut); took > 2*time.Second+3*time.Second { // 1.5 s on a machine of its own
		t.Errorf("it took %v", took)
	}
}

// TestDiscoveryMassLossMissed: the guard works for what was missed in an outage, too.
func TestDiscoveryMassLossMissed(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for i := range 6 {
		mustPut(t, c.Admin(), fmt.Sprint(apiLine, i), `{"addr":"a:1","ttl":3600}`)
	}
	v := mustView(t, open(t, c.Client(t), "etcdkit"), "api")
	stop := never(t, v, 6)
	c.Cut()
	awaitStaleView(t, v, true)
	for i := range 5 {
		mustDelete(t, c.Admin(), fmt.Sprint(apiLine, i))
	}
	c.Compact(t)
	c.Heal()
	awaitSnapshot(t, v, "a probation", func(s *discovery.Snapshot) bool { return len(s.Probation) == 5 && s.StaleSince.IsZero() })
	stop()
}

// TestDiscoverySkipsJunk of every kind (F18).
func TestDiscoverySkipsJunk(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	line := prefix + "/discovery/api/@/"
	mustPut(t, client, line+"good", `{"addr":"a:1"}`)
	junk := map[string]string{
		"a": "junk", "b": "", "c": "null", "d": `{"addr":"a"}`, "e": `{"addr":"a:1","weight":-1}`, "f": `{"addr":"a:1","id":"other"}`,
		"g/h": `{"addr":"a:1"}`, "": `{"addr":"a:1"}`, "\xff": `{"addr":"a:1"}`, "i": `{"v":2,"addr":"a:1"}`, "j": `{"addr":"a:1","state":"odd"}`,
		"k": `{"addr":"a:1","labels":{"a":"` + strings.Repeat("x", 64<<10) + `"}}`, "l": `[]`, "m": `{"addr":"a:99999"}`,
	}
	for id, text := range junk {
		mustPut(t, client, line+id, text)
	}
	v := mustView(t, open(t, client, prefix), "api")
	if snap := v.Snapshot(); ids(snap.Instances) != "good" || snap.Skipped != len(junk) {
		t.Errorf("with junk: %+v", snap)
	}
	mustPut(t, client, line+"a", `{"addr":"b:1"}`)
	mustDelete(t, client, line+"b")
	mustPut(t, client, line+"good", "junk") // its owner would put it again
	awaitSnapshot(t, v, "one is good, one gone", func(s *discovery.Snapshot) bool { return ids(s.Instances) == "a good" && s.Skipped == len(junk)-1 })
	mustDelete(t, client, line+"good")
	snap := awaitIDs(t, v, "a")
	if snap.Skipped != len(junk)-2 {
		t.Errorf("%d are skipped", snap.Skipped)
	}
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

// TestDiscoveryLastGood: a program starts while etcd is away, and says how old its list is.
func TestDiscoveryLastGood(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, path := c.Client(t), filepath.Join(t.TempDir(), "last")
	s := open(t, client, "etcdkit")
	for i := range 5 {
		mustPut(t, client, fmt.Sprint(apiLine, i), `{"addr":"a:1"}`)
	}
	mustPut(t, client, apiLine+"5", `{"addr":"a:1","state":"draining"}`)
	v := mustView(t, s, "api", discovery.WithLastGood(path))
	before := time.Now()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := discovery.Watch(soon(t), s, "other", discovery.WithLastGood(path)); err == nil || !strings.Contains(err.Error(), `"api"`) {
		t.Errorf("the file of another service: %v", err)
	}
	c.Cut()
	other := open(t, c.Client(t), "etcdkit")
	if _, err := discovery.Watch(within(t, 300*time.Millisecond), other, "api"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a file: %v", err)
	}
	booted, err := discovery.Watch(within(t, 300*time.Millisecond), other, "api", discovery.WithLastGood(path))
	if err != nil {
		t.Fatal(err)
	}
	snap := booted.Snapshot()
	if ids(snap.Instances) != "0 1 2 3 4" || ids(snap.Draining) != "5" || snap.Err == nil || snap.Revision == 0 {
		t.Errorf("from the file: %+v", snap)
	}
	if d := snap.StaleSince.Sub(before); d > time.Second || d < -31*time.Second {
		t.Errorf("it is stale since %v, and was true until %v", snap.StaleSince, before)
	}
	stop := never(t, booted, 4)
	mustDelete(t, c.Admin(), apiLine+"0")
	c.Heal()
	awaitIDs(t, booted, "1 2 3 4")
	awaitStaleView(t, booted, false)
	stop()
	if err := booted.Close(); err != nil {
		t.Error(err)
	}
	c.Cut()
	again, err := discovery.Watch(within(t, 300*time.Millisecond), open(t, c.Client(t), "etcdkit"), "api", discovery.WithLastGood(path))
	if err != nil || ids(again.Instances()) != "1 2 3 4" {
		t.Fatalf("from the next file: %+v, %v", again, err)
	}
	// What vanished meanwhile without a word is kept for now.
	for i := 1; i < 4; i++ {
		mustDelete(t, c.Admin(), fmt.Sprint(apiLine, i))
	}
	c.Heal()
	awaitSnapshot(t, again, "a probation", func(s *discovery.Snapshot) bool {
		return len(s.Probation) == 3 && ids(s.Instances) == "1 2 3 4" && s.StaleSince.IsZero()
	})
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	c.Cut()
	last, err := discovery.Watch(within(t, 300*time.Millisecond), open(t, c.Client(t), "etcdkit"), "api", discovery.WithLastGood(path))
	if err != nil || len(last.Snapshot().Probation) != 3 {
		t.Fatalf("the probation is not in the file: %+v, %v", last, err)
	}
	c.Heal()
	_ = last.Close()
}

// TestDiscoveryEndpoints: etcd's own naming sees the kit's instances, and the kit sees etcd's.
func TestDiscoveryEndpoints(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	target := prefix + "/legacy/api"
	manager, err := endpoints.NewManager(client, target)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, client, prefix)
	v := mustView(t, s, "api", discovery.WithEndpoints(target))
	err = manager.AddEndpoint(soon(t), target+"/old/1", endpoints.Endpoint{Addr: "10.0.0.1:80", Metadata: map[string]any{"zone": "z", "odd": 1}})
	if err != nil {
		t.Fatal(err)
	}
	snap := awaitIDs(t, v, "old/1")
	if inst := snap.Instances[0]; inst.Addr != "10.0.0.1:80" || inst.Zone != "z" {
		t.Errorf("etcd's instance: %+v", inst)
	}
	r := mustRegister(t, s, "api", discovery.Instance{ID: "new", Addr: "10.0.0.2:80", Weight: 7}, discovery.WithEndpoints(target))
	snap = awaitIDs(t, v, "new old/1")
	if snap.Instances[0].Weight != 7 {
		t.Errorf("the kit's instance: %+v", snap.Instances[0])
	}
	theirs := func() string {
		list, err := manager.List(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range list {
			all = append(all, e.Addr)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	if got := theirs(); got != "10.0.0.1:80 10.0.0.2:80" {
		t.Errorf("etcd's own list is %q", got)
	}
	if err := r.Drain(soon(t)); err != nil {
		t.Fatal(err)
	}
	if got := theirs(); got != "10.0.0.1:80" {
		t.Errorf("etcd's own list is %q", got)
	}
	awaitIDs(t, v, "old/1")
	if err := r.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	second := mustRegister(t, s, "api", discovery.Instance{ID: "new", Addr: "10.0.0.2:80"}, discovery.WithEndpoints(target))
	mustDelete(t, client, prefix+"/discovery/api/@/new")
	if err := second.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	if got := theirs(); got != "10.0.0.1:80" {
		t.Errorf("etcd's own list is %q", got)
	}
	list, err := discovery.List(soon(t), s, "api", discovery.WithEndpoints(target))
	if err != nil || ids(list.Instances) != "old/1" {
		t.Errorf("list %+v, %v", list, err)
	}
}

// TestDiscoveryMany: a view follows a big service that changes all the time, exactly.
func TestDiscoveryMany(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	line := prefix + "/discovery/api/@/"
	write := func(i, weight int) clientv3.Op {
		return clientv3.OpPut(fmt.Sprintf("%s%05d", line, i), fmt.Sprintf(`{"addr":"10.0.0.1:%d","weight":%d}`, i+1, weight))
	}
	const n = 3000
	for i := 0; i < n; i += 100 {
		var ops []clientv3.Op
		for j := range 100 {
			ops = append(ops, write(i+j, 1))
		}
		if _, err := client.Txn(soon(t)).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	v := mustView(t, open(t, client, prefix), "api")
	if got := v.Instances(); len(got) != n {
		t.Fatalf("%d instances", len(got))
	}
	told := map[string]int{}
	counting, cancel := context.WithCancel(soon(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ch, err := range v.Changes(counting) {
			if err != nil {
				return
			}
			for _, i := range slices.Concat(ch.Added, ch.Updated) {
				told[i.ID] = i.Weight
			}
			for _, i := range ch.Removed {
				delete(told, i.ID)
			}
			if len(ch.Snapshot.Instances) != len(told) {
				t.Errorf("%d were told, and %d are there", len(told), len(ch.Snapshot.Instances))
			}
		}
	}()
	for i := range 300 {
		op := write(i*7, i+2)
		if i%5 == 0 {
			op = clientv3.OpDelete(fmt.Sprintf("%s%05d", line, i*7))
		}
		if _, err := client.Do(soon(t), op); err != nil {
			t.Fatal(err)
		}
	}
	list, err := discovery.List(soon(t), open(t, client, prefix), "api")
	if err != nil {
		t.Fatal(err)
	}
	snap := awaitSnapshot(t, v, "the last change", func(s *discovery.Snapshot) bool { return s.Revision >= list.Revision-1 && len(s.Instances) == n-60 })
	eventually(t, "the last change", func() bool { return fmt.Sprint(v.Instances()) == fmt.Sprint(list.Instances) })
	_ = snap
	cancel()
	<-done
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
