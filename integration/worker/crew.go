package worker

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/history"
)

// Crew is some workers on one lock, and the referee who watches it. It is not safe for concurrent use.
type Crew struct {
	Spec    Spec   // of the workers to come
	Line    string // the prefix of the lock's keys
	Members []*Child

	sight   *clientv3.Client
	referee *Referee
	frozen  map[string]int64 // when a worker was first frozen for longer than its lease
}

// Hire makes a crew without members, on the etcd at these endpoints. sight is a client whose connection nobody breaks.
func Hire(endpoints []string, sight *clientv3.Client, prefix string, ttl time.Duration) *Crew {
	c := &Crew{sight: sight, frozen: make(map[string]int64), Line: prefix + "/lock/x/@/"}
	c.Spec = Spec{Endpoints: endpoints, Prefix: prefix, Name: "x", TTL: ttl, Every: 5 * time.Millisecond}
	c.referee = Watch(sight, map[string]string{c.Line: "x"})
	return c
}

// Start adds a worker, which keeps the lock for hold each time, or until it loses it if that is zero.
func (c *Crew) Start(hold time.Duration) (*Child, error) {
	spec := c.Spec
	spec.Client, spec.Hold = fmt.Sprintf("w%d", len(c.Members)), hold
	m, err := Start(spec)
	if err == nil {
		c.Members = append(c.Members, m)
	}
	return m, err
}

// Freeze stops a worker for longer than its lease. What it believes when it wakes up, for as long as the scheduler takes to run a timer,
// no lock can help: what it holds counts as held until it was frozen, and its writes count all the same. A worker is frozen like this
// once.
func (c *Crew) Freeze(m *Child) error {
	c.frozen[m.Spec.Client] = Now()
	return m.Freeze()
}

// Frozen tells whether Freeze was called for the worker.
func (c *Crew) Frozen(m *Child) bool { return c.frozen[m.Spec.Client] != 0 }

// Kill kills all members.
func (c *Crew) Kill() {
	for _, m := range c.Members {
		m.Kill()
	}
}

// Finish lets all members finish, and returns what happened.
func (c *Crew) Finish(ctx context.Context) (history.History, error) {
	var h history.History
	for _, m := range c.Members {
		m.Stop()
		holds, writes := m.History()
		at := c.frozen[m.Spec.Client]
		for i := range holds {
			if at != 0 && holds[i].Lost && holds[i].From < at {
				holds[i].To = min(holds[i].To, at)
			}
		}
		h.Holds, h.Writes = append(h.Holds, holds...), append(h.Writes, writes...)
	}
	keys, err := c.referee.Stop(ctx, c.sight, c.Line)
	h.Keys = keys
	return h, err
}
