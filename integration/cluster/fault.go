package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"etcdkit/integration/proxy"
)

// Cut closes all connections of clients to these members, to all if none is named, and leaves new ones unanswered until Heal. It
// returns how many connections it closed.
func (c *Cluster) Cut(members ...int) int {
	n := 0
	for _, m := range c.pick(members) {
		n += m.clients.Cut()
	}
	return n
}

// Heal ends a Cut.
func (c *Cluster) Heal(members ...int) {
	for _, m := range c.pick(members) {
		m.clients.Heal()
	}
}

// Blackhole makes connections half-open: they stay, but from its return on not a byte passes in either direction.
func (c *Cluster) Blackhole(members ...int) {
	for _, m := range c.pick(members) {
		m.clients.Blackhole()
	}
}

// LoseAnswers makes connections one-way: the members do what they are asked, and clients do not hear of it. Unblackhole ends it.
func (c *Cluster) LoseAnswers(members ...int) {
	for _, m := range c.pick(members) {
		m.clients.Swallow(proxy.Answers)
	}
}

// Delay makes every answer to a client take so much longer; zero ends it.
func (c *Cluster) Delay(d time.Duration, members ...int) {
	for _, m := range c.pick(members) {
		m.clients.Delay(proxy.Answers, d)
	}
}

// Unblackhole ends a Blackhole. It closes the connections, since bytes of theirs are lost, and returns how many bytes were.
func (c *Cluster) Unblackhole(members ...int) int64 {
	var n int64
	for _, m := range c.pick(members) {
		n += m.clients.Unblackhole()
	}
	return n
}

// pick returns the members with these indexes, all of them if there are none.
func (c *Cluster) pick(indexes []int) []*member {
	if len(indexes) == 0 {
		return c.members
	}
	var picked []*member
	for _, i := range indexes {
		picked = append(picked, c.members[i])
	}
	return picked
}

// Stop stops a member as a crash would. Connections to it are refused. Its data stays for Restart.
func (c *Cluster) Stop(i int) { c.members[i].stop() }

// Restart starts a stopped member again, and waits until it is ready: with more than half of the members down, that is when
// enough of the others are started too, so name all of them in one call.
func (c *Cluster) Restart(t testing.TB, members ...int) {
	t.Helper()
	for _, m := range c.pick(members) {
		if err := m.start(embed.ClusterStateFlagExisting); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range c.pick(members) {
		if err := m.ready(patience); err != nil {
			t.Fatal(err)
		}
	}
}

// Isolate cuts a member off from the other members, in both directions. Clients still reach it.
func (c *Cluster) Isolate(i int) {
	for j := range c.members {
		if c.members[i].etcd != nil && c.members[j].etcd != nil && i != j {
			c.members[i].etcd.Server.CutPeer(c.members[j].etcd.Server.MemberID())
			c.members[j].etcd.Server.CutPeer(c.members[i].etcd.Server.MemberID())
		}
	}
}

// Rejoin ends an Isolate.
func (c *Cluster) Rejoin(i int) {
	for j := range c.members {
		if c.members[i].etcd != nil && c.members[j].etcd != nil && i != j {
			c.members[i].etcd.Server.MendPeer(c.members[j].etcd.Server.MemberID())
			c.members[j].etcd.Server.MendPeer(c.members[i].etcd.Server.MemberID())
		}
	}
}

// MoveLeader makes a member the leader.
func (c *Cluster) MoveLeader(t testing.TB, to int) {
	t.Helper()
	from := c.WaitLeader(t)
	if from == to {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	server := c.members[from].etcd.Server
	if err := server.MoveLeader(ctx, server.Lead(), uint64(c.members[to].etcd.Server.MemberID())); err != nil {
		t.Fatalf("cluster: moving the leader from member %d to %d: %v", from, to, err)
	}
	c.WaitLeader(t)
}

// Compact drops all history up to now, and returns the revision.
func (c *Cluster) Compact(t testing.TB) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := c.Admin().Get(ctx, "0")
	if err != nil {
		t.Fatalf("cluster: reading the revision: %v", err)
	}
	if _, err := c.Admin().Compact(ctx, resp.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatalf("cluster: compacting: %v", err)
	}
	return resp.Header.Revision
}

// SmallQuota is an option of New: a store small enough for FillSpace.
func SmallQuota(cfg *embed.Config) { cfg.QuotaBackendBytes = 16 << 20 }

// filler is the prefix of what FillSpace writes.
const filler = "\x00filler/"

// FillSpace writes until the server has raised its NOSPACE alarm. The cluster must have been started with SmallQuota.
func (c *Cluster) FillSpace(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	value := string(make([]byte, 1<<20))
	// The server knows how large its store is only after each of its commits, every 100 ms, so how many writes it takes cannot be said.
	for i := 0; ctx.Err() == nil; i++ {
		_, err := c.Admin().Put(ctx, fmt.Sprintf("%s%d", filler, i), value)
		if err != nil && !errors.Is(err, rpctypes.ErrNoSpace) {
			t.Fatalf("cluster: filling the store: %v", err)
		}
		// The write that is refused when it is applied is answered before the alarm is up; the next one raises it.
		alarms, err := c.Admin().AlarmList(ctx)
		if err != nil {
			t.Fatalf("cluster: reading the alarms: %v", err)
		}
		if len(alarms.Alarms) > 0 {
			return
		}
	}
	t.Fatalf("cluster: the store was not full after %v: start it with cluster.SmallQuota", patience)
}

// FreeSpace ends a FillSpace: what it wrote is deleted, the store made small again and the alarm disarmed.
func (c *Cluster) FreeSpace(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Admin().Delete(ctx, filler, clientv3.WithPrefix()); err != nil {
		t.Fatalf("cluster: deleting the filler: %v", err)
	}
	c.Compact(t)
	for _, m := range c.members {
		if m.etcd == nil {
			continue
		}
		if err := m.etcd.Server.Backend().Defrag(); err != nil {
			t.Fatalf("cluster: defragmenting member %s: %v", m.name, err)
		}
	}
	if _, err := c.Admin().AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		t.Fatalf("cluster: disarming the alarm: %v", err)
	}
}
