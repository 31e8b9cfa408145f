package integration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"etcdkit/discovery"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

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
