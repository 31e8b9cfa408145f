package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// TestDiscoveryCloseDuringRegister ends the Register, whether the session has a lease or not.
func TestDiscoveryCloseDuringRegister(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	for range 10 {
		prefix := cluster.Prefix(t)
		s := open(t, client, prefix)
		if _, err := s.Lease(soon(t)); err != nil {
			t.Fatal(err)
		}
		key := prefix + "/discovery/api/@/a"
		held := faults.Hold(puts(key))
		done := make(chan error, 1)
		go func() {
			_, err := discovery.Register(soon(t), s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
			done <- err
		}()
		held.Await()
		if err := s.Close(soon(t)); err != nil {
			t.Errorf("Close = %v", err)
		}
		if err := <-done; !errors.Is(err, session.ErrClosed) {
			t.Errorf("Register = %v", err)
		}
		_ = held.Release() // it may have been given up
		if got := value(t, client, key); got != "" {
			t.Errorf("a registration that failed stands there: %s", got)
		}
	}
	c := cluster.New(t, 1)
	cut := c.Client(t)
	c.Cut()
	s := open(t, cut, "etcdkit")
	done := make(chan error, 1)
	go func() {
		_, err := discovery.Register(soon(t), s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
		done <- err
	}()
	if err := s.Close(within(t, time.Second)); err != nil {
		t.Logf("Close = %v", err)
	}
	if err := <-done; !errors.Is(err, session.ErrClosed) {
		t.Errorf("Register without a lease = %v", err)
	}
}

// TestDiscoveryDrainSurvivesTheLease: a request that was acknowledged while the instance was cut off is not forgotten with the lease.
func TestDiscoveryDrainSurvivesTheLease(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "etcdkit", session.WithTTL(2*time.Second))
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	key := apiLine + "a"
	mustDelete(t, c.Admin(), key)
	eventually(t, "it watches its key", func() bool { return leaseOf(t, c.Admin(), key) != 0 })
	ref := newReferee(t, c.Admin(), apiLine)
	c.Cut()
	if err := discovery.RequestDrain(soon(t), open(t, c.Admin(), "etcdkit"), "api", "a"); err != nil {
		t.Fatal(err)
	}
	ref.until("the end of the lease", deleted(key))
	c.Heal()
	for _, ev := range ref.until("it is back", func(ev *clientv3.Event) bool { return ev.IsCreate() }) {
		if !strings.Contains(string(ev.Kv.Value), "draining") {
			t.Errorf("it came back serving: %s", ev.Kv.Value)
		}
	}
	eventually(t, "Err is nil", func() bool { return r.Err() == nil })
	if !r.Draining() {
		t.Error("it does not know that it drains")
	}
}

// TestDiscoveryLateTakeover: a takeover that failed does not come true later, and leaves whose the ID is alone.
func TestDiscoveryLateTakeover(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)
	other, s := open(t, client, prefix), open(t, client, prefix)
	key := prefix + "/discovery/api/@/a"
	owner := mustRegister(t, other, "api", discovery.Instance{ID: "a", Addr: "old:1"})
	before := value(t, client, key)
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	n := 0
	late := faults.SendLate(func(method string, req any) bool {
		if !puts(key)(method, req) {
			return false
		}
		if n++; n == 1 {
			return false // it finds who has the ID
		}
		cancel()
		return true
	})
	_, err := discovery.Register(ctx, s, "api", discovery.Instance{ID: "a", Addr: "new:1"}, discovery.WithTakeover())
	if !errors.Is(err, session.ErrUncertain) || !errors.Is(err, context.Canceled) {
		t.Errorf("Register = %v", err)
	}
	if err := s.Hub().Idle(soon(t)); err != nil {
		t.Error(err)
	}
	if err := late.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if got := value(t, client, key); got != before {
		t.Errorf("after the late takeover: %s", got)
	}
	if err := owner.Err(); err != nil {
		t.Errorf("the owner: %v", err)
	}
	// An answer that is lost is made up for, and one that the fence has voided is sent again.
	faults.LoseReply(puts(key))
	second := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "new:1"}, discovery.WithTakeover())
	if got := value(t, client, key); !strings.Contains(got, "new:1") {
		t.Errorf("after the takeover: %s", got)
	}
	if err := second.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
}

// TestDiscoveryRegisterAgain: who tries again after a Register that failed is not kept out by its clean-up.
func TestDiscoveryRegisterAgain(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "etcdkit", session.WithTTL(30*time.Second))
	if _, err := s.Lease(soon(t)); err != nil {
		t.Fatal(err)
	}
	c.Cut()
	inst := discovery.Instance{ID: "a", Addr: "a:1"}
	if _, err := discovery.Register(within(t, 500*time.Millisecond), s, "api", inst); !errors.Is(err, session.ErrUncertain) {
		t.Errorf("cut off: %v", err)
	}
	if _, err := discovery.Register(within(t, 500*time.Millisecond), s, "api", inst); errors.Is(err, discovery.ErrTaken) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("again: %v", err)
	}
	c.Heal()
	r := mustRegister(t, s, "api", inst)
	if _, err := discovery.Register(soon(t), s, "api", inst); !errors.Is(err, discovery.ErrTaken) {
		t.Errorf("beside one that lives: %v", err)
	}
	c.Cut()
	if err := r.Deregister(within(t, 300*time.Millisecond)); !errors.Is(err, session.ErrUncertain) {
		t.Errorf("Deregister = %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := discovery.Register(soon(t), s, "api", discovery.Instance{ID: "a", Addr: "a:2"})
		done <- err
	}()
	c.Heal()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := value(t, c.Admin(), apiLine+"a"); !strings.Contains(got, "a:2") {
		t.Errorf("after all: %s", got)
	}
}

// TestDiscoveryForeignEndpoints are neither written over nor deleted, and what is done to the kit's is mended.
func TestDiscoveryForeignEndpoints(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, other := open(t, client, prefix), open(t, client, prefix)
	target, key := prefix+"/legacy/api", prefix+"/discovery/api/@/a"
	beside := target + "/a"
	const foreign = `{"Op":0,"Addr":"foreign:1","Metadata":null}`
	mustPut(t, client, beside, foreign)
	inst, legacy := discovery.Instance{ID: "a", Addr: "a:1"}, discovery.WithEndpoints(target)
	_, err := discovery.Register(soon(t), s, "api", inst, legacy)
	var taken *discovery.TakenError
	if !errors.As(err, &taken) || taken.Key != beside || taken.Addr != "foreign:1" || errors.Is(err, session.ErrUncertain) {
		t.Errorf("Register = %v", err)
	}
	if got, also := value(t, client, beside), value(t, client, key); got != foreign || also != "" {
		t.Errorf("after that: %s, %s", got, also)
	}
	mustDelete(t, client, beside)
	r := mustRegister(t, s, "api", inst, legacy)
	is := func(addr string) func() bool {
		return func() bool {
			return strings.Contains(value(t, client, beside), addr) && leaseOf(t, client, beside) != 0
		}
	}
	if !is("a:1")() {
		t.Errorf("etcd's own record: %s", value(t, client, beside))
	}
	mustDelete(t, client, beside)
	eventually(t, "it is there again", is("a:1"))
	mustPut(t, client, beside, foreign)
	eventually(t, "it is known to be somebody else's", func() bool { return errors.Is(r.Err(), discovery.ErrTaken) })
	if err := r.Update(soon(t), discovery.Instance{Addr: "a:2"}); !errors.As(err, &taken) || taken.Key != beside {
		t.Errorf("Update = %v", err)
	}
	if got, also := value(t, client, beside), value(t, client, key); got != foreign || !strings.Contains(also, "a:2") {
		t.Errorf("after the update: %s, %s", got, also)
	}
	mustDelete(t, client, beside)
	eventually(t, "it is there again, as it is now", is("a:2"))
	eventually(t, "Err is nil", func() bool { return r.Err() == nil })

	second := mustRegister(t, other, "api", discovery.Instance{ID: "a", Addr: "b:1"}, legacy, discovery.WithTakeover())
	if !is("b:1")() {
		t.Errorf("after a takeover: %s", value(t, client, beside))
	}
	eventually(t, "the first one knows that it is out", func() bool { return errors.Is(r.Err(), discovery.ErrTaken) })
	if err := r.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	if !is("b:1")() {
		t.Error("who is out has deleted the record of the other one")
	}
	mustPut(t, client, beside, foreign)
	if err := second.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	if got, also := value(t, client, beside), value(t, client, key); got != foreign || also != "" {
		t.Errorf("after Deregister: %s, %s", got, also)
	}
}

// TestDiscoveryOldLastGood: who left while nobody looked is no mass loss.
func TestDiscoveryOldLastGood(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	path := filepath.Join(t.TempDir(), "last")
	for i := range 10 {
		mustPut(t, c.Admin(), fmt.Sprint(apiLine, "old", i), `{"addr":"a:1","ttl":5}`)
	}
	if err := mustView(t, open(t, c.Client(t), "etcdkit"), "api", discovery.WithLastGood(path)).Close(); err != nil {
		t.Fatal(err)
	}
	age(t, path, 5*time.Minute)
	mustDeleteAll(t, c.Admin(), apiLine)
	for i := range 4 {
		mustPut(t, c.Admin(), fmt.Sprint(apiLine, "new", i), `{"addr":"a:1","ttl":5}`)
	}
	client := c.Client(t)
	c.Cut()
	v, err := discovery.Watch(within(t, 300*time.Millisecond), open(t, client, "etcdkit"), "api", discovery.WithLastGood(path))
	if err != nil || len(v.Instances()) != 10 || v.Stale() < 4*time.Minute {
		t.Fatalf("from the file: %+v, %v", v, err)
	}
	c.Heal()
	awaitStaleView(t, v, false)
	if s := v.Snapshot(); ids(s.Instances) != "new0 new1 new2 new3" || len(s.Probation) != 0 {
		t.Errorf("in step: %s, on probation %v", ids(s.Instances), s.Probation)
	}
}

// mustDeleteAll deletes in one transaction.
func mustDeleteAll(t *testing.T, client *clientv3.Client, prefix string) {
	t.Helper()
	if _, err := client.Delete(soon(t), prefix, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
}

// age makes a last good file older.
func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(string(data))
	known := regexp.MustCompile(`"known":"[^"]*"`)
	text = known.ReplaceAllString(text, `"known":"`+time.Now().UTC().Add(-by).Format(time.RFC3339)+`"`)
	text = regexp.MustCompile(`"sha256":"[^"]*"`).ReplaceAllString(text, `"sha256":""`)
	sum := sha256.Sum256([]byte(text))
	text = strings.Replace(text, `"sha256":""`, `"sha256":"`+hex.EncodeToString(sum[:])+`"`, 1)
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDiscoveryPickedBeforeProbation: how such a request went counts too.
func TestDiscoveryPickedBeforeProbation(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	line := prefix + "/discovery/api/@/"
	for i := range 4 {
		mustPut(t, client, fmt.Sprint(line, "i", i), `{"addr":"a:1","ttl":60}`)
	}
	v := mustView(t, open(t, client, prefix), "api")
	inst, done, err := v.Pick(discovery.RoundRobin())
	if err != nil {
		t.Fatal(err)
	}
	mustDeleteAll(t, client, line)
	awaitSnapshot(t, v, "probation", func(s *discovery.Snapshot) bool { return len(s.Probation) == 4 })
	done(context.DeadlineExceeded)
	if _, still := v.Snapshot().Probation[inst.ID]; still || len(v.Instances()) != 3 {
		t.Errorf("%s is still there: %s", inst.ID, ids(v.Instances()))
	}
}
