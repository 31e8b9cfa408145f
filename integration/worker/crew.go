package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/history"
	"etcdkit/session"
)

// Crew is some workers on one or more names, and the referee who watches them. It is not safe for concurrent use.
type Crew struct {
	Spec    Spec   // of the workers to come
	Line    string // the prefix of the keys that compete for the first name
	Members []*Child

	sight        *clientv3.Client
	lines        map[string]string // the prefix of a line's keys, and its name
	referee      *Referee
	robberies    []history.Robbery
	disturbances []history.Disturbance
}

// Hire makes a crew without members, which works with these names. sight is a client whose connection nobody breaks. What spec does not say
// is a mutex, under which somebody writes every 5 ms.
func Hire(sight *clientv3.Client, spec Spec, names ...string) *Crew {
	spec.Name, spec.Job, spec.Every = names[0], cmp.Or(spec.Job, "mutex"), cmp.Or(spec.Every, 5*time.Millisecond)
	c := &Crew{Spec: spec, sight: sight, lines: make(map[string]string)}
	s := session.New(sight, session.WithPrefix(spec.Prefix)) // touches nothing, and knows where the keys are
	for _, name := range names {
		c.lines[jobs[spec.Job].line(s, name)] = name
	}
	c.Line = jobs[spec.Job].line(s, names[0])
	c.referee = Watch(sight, spec.Prefix, spec.Job, c.lines)
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

// Freeze stops a worker in the middle of whatever it does. What it believes when it wakes up, for as long as the scheduler takes to run a timer,
// no lock can help: what it holds counts as held until it was frozen, and its writes count all the same.
func (c *Crew) Freeze(m *Child) error {
	c.Rob(history.Robbery{How: "frozen", Client: m.Spec.Client, From: Now()})
	return m.freeze()
}

// Thaw lets a frozen worker go on.
func (c *Crew) Thaw(m *Child) error {
	err := m.thaw()
	for i := range c.robberies {
		if r := &c.robberies[i]; r.Client == m.Spec.Client && r.To == 0 {
			r.To = Now()
		}
	}
	return err
}

// Rob takes note of a robbery.
func (c *Crew) Rob(r history.Robbery) { c.robberies = append(c.robberies, r) }

// Disturb takes note of a disturbance.
func (c *Crew) Disturb(d history.Disturbance) { c.disturbances = append(c.disturbances, d) }

// Progress waits until every worker that lives, and has not ended, has had its lock some more times.
func (c *Crew) Progress(patience time.Duration, times int, what string) error {
	befores := make([]int, len(c.Members))
	for i, m := range c.Members {
		befores[i] = m.Holds()
	}
	for i, m := range c.Members {
		if err := m.Await(patience, func(m *Child) bool { return m.Ended() || m.Holds() >= befores[i]+times }); err != nil {
			return fmt.Errorf("no progress %s: %w", what, err)
		}
	}
	return nil
}

// Kill kills all members.
func (c *Crew) Kill() {
	for _, m := range c.Members {
		m.Kill()
	}
	c.referee.cancel()
}

// Finish lets all members finish, waits until nothing is left of them or should be, and returns what happened.
func (c *Crew) Finish(ctx context.Context) (history.History, error) {
	h := history.History{TTL: c.Spec.TTL, Robberies: c.robberies, Disturbances: c.disturbances}
	var ending sync.WaitGroup
	for _, m := range c.Members {
		ending.Go(m.Stop)
	}
	ending.Wait()
	for _, m := range c.Members {
		if err := m.tell(&h); err != nil {
			return h, err
		}
	}
	if err := c.await(ctx, &h); err != nil {
		return h, err
	}
	return h, c.referee.Stop(ctx, c.sight, &h)
}

// await waits until the leases of the crew and the keys in its lines are gone, or have been given enough time.
func (c *Crew) await(ctx context.Context, h *history.History) error {
	for _, id := range c.referee.Leases() {
		if id != 0 && !slices.ContainsFunc(h.Leases, func(l history.Lease) bool { return l.ID == id }) {
			h.Leases = append(h.Leases, history.Lease{ID: id})
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := time.Now().Add(c.Spec.TTL + 10*time.Second); ; {
		left, err := c.left(ctx, h)
		if err != nil || left == 0 || time.Now().After(last) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// left counts what is left, and takes note of leases that are gone.
func (c *Crew) left(ctx context.Context, h *history.History) (n int64, err error) {
	for i := range h.Leases {
		l := &h.Leases[i]
		if l.Gone != 0 {
			continue
		}
		resp, err := c.sight.TimeToLive(ctx, clientv3.LeaseID(l.ID))
		if err != nil {
			return 0, err
		}
		if resp.TTL >= 0 { // 0: about to be revoked
			n, l.Seen = n+1, Now()
			continue
		}
		l.Gone = Now()
	}
	for line := range c.lines {
		resp, err := c.sight.Get(ctx, line, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return 0, err
		}
		n += resp.Count
	}
	return n, nil
}
