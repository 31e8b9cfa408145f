package integration

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"etcdkit/discovery"
	"etcdkit/integration/cluster"
)

// TestBalancersFollowTheList: a View's instances come and go, and each Picker picks from those of the moment, by what it knew before.
func TestBalancersFollowTheList(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	var regs []*discovery.Registration
	join := func() {
		t.Helper()
		i := len(regs)
		reg, err := discovery.Register(soon(t), s, "api", discovery.Instance{
			ID: fmt.Sprint("i", i), Addr: fmt.Sprintf("10.0.0.%d:80", i+1), Weight: i + 1, Zone: fmt.Sprint("z", i%2),
		})
		if err != nil {
			t.Fatal(err)
		}
		regs = append(regs, reg)
	}
	for range 4 {
		join()
	}
	view, err := discovery.Watch(soon(t), open(t, client, prefix), "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	sees := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d instances", n), func() bool { return len(view.Instances()) == n })
	}
	sees(4)
	ring := discovery.ConsistentHash()
	pickers := map[string]func(i int) discovery.Picker{}
	for name, p := range map[string]discovery.Picker{
		"round robin": discovery.RoundRobin(), "weighted": discovery.Weighted(), "least loaded": discovery.LeastLoaded(),
		"zone first": discovery.ZoneFirst("z0", discovery.LeastLoaded()), "ejection": discovery.Ejection(discovery.Weighted()),
	} {
		pickers[name] = func(int) discovery.Picker { return p }
	}
	pickers["hash"] = func(i int) discovery.Picker { return ring.Key(fmt.Sprint("user-", i)) }
	counts := func(name string, n int) map[string]int {
		t.Helper()
		got := make(map[string]int)
		for i := range n {
			inst, done, err := view.Pick(pickers[name](i))
			if err != nil {
				t.Fatal(err)
			}
			got[inst.ID]++
			done(nil)
		}
		return got
	}
	for name := range pickers {
		counts(name, 1000)
	}
	join()
	if err := regs[1].Drain(soon(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one drains", func() bool { return len(view.Instances()) == 4 && len(view.Snapshot().Draining) == 1 })
	for name := range pickers {
		got := counts(name, 1500)
		if got["i1"] != 0 {
			t.Errorf("%s: %d requests went to who drains", name, got["i1"])
		}
		if _, zoned := got["i3"]; got["i4"] == 0 || !zoned && name != "zone first" {
			t.Errorf("%s: %v", name, got)
		}
	}
	weighted := counts("weighted", 1300) // of 1, 3, 4 and 5 parts
	for id, parts := range map[string]int{"i0": 1, "i2": 3, "i3": 4, "i4": 5} {
		if weighted[id] != 100*parts {
			t.Errorf("weighted: %s got %d of 1300 requests, want %d", id, weighted[id], 100*parts)
		}
	}
	// Turns that are equal are far below what chance would make of them (chi-square with 3 degrees of freedom).
	chi := 0.0
	for _, n := range counts("round robin", 1000) {
		chi += math.Pow(float64(n)-250, 2) / 250
	}
	if chi > 0.01 {
		t.Errorf("round robin: chi-square is %v", chi)
	}
	for _, reg := range regs {
		if err := reg.Deregister(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	sees(0)
	for name, p := range pickers {
		if _, _, err := view.Pick(p(0)); !errors.Is(err, discovery.ErrNoInstance) {
			t.Errorf("%s: where there is nobody: %v", name, err)
		}
	}
}
