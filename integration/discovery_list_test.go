package integration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"

	"etcdkit/discovery"
	"etcdkit/integration/cluster"
)

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
