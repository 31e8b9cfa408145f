package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"etcdkit/integration/cluster"
	"etcdkit/integration/history"
	"etcdkit/integration/worker"
	"etcdkit/lock"
	"etcdkit/session"
)

// diary writes down what callers believed.
type diary struct {
	mu     sync.Mutex // protects shares
	shares []history.Share
}

// hold takes something, keeps it for a while, gives it back, and writes that down.
func (d *diary) hold(ctx context.Context, share history.Share, take taker, keep time.Duration) error {
	share.Asked = worker.Now()
	h, err := take(ctx)
	if err != nil {
		return err
	}
	share.From, share.Token = worker.Now(), int64(h.Token())
	end := make(chan int64, 1)
	stop := context.AfterFunc(h.Context(), func() { end <- worker.Now() })
	select {
	case <-time.After(keep):
	case <-h.Context().Done():
	}
	if stop() {
		share.To = worker.Now()
	} else {
		share.To, share.Lost = <-end, true
	}
	err = h.Unlock(ctx)
	if err == nil && !share.Lost {
		share.Freed = worker.Now()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shares = append(d.shares, share)
	if errors.Is(err, session.ErrLost) || errors.Is(err, session.ErrUncertain) {
		return nil
	}
	return err
}

func (d *diary) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.shares)
}

// keep is how long a caller keeps what it has: one of them now and then so long that it is lost in a cut.
func keep(client string, round int) time.Duration {
	if client == "0.0" && round%4 == 3 {
		return 3 * time.Second
	}
	return 2 * time.Millisecond
}

// troubled runs callers of both kinds while the cluster suffers, and returns what they believed. Each of the sessions has several callers.
func troubled(t *testing.T, c *cluster.Cluster, trouble func(), work func(d *diary, s *session.Session, client string, round int) error) []history.Share {
	t.Helper()
	var d diary
	ctx, cancel := context.WithCancel(soon(t))
	var all sync.WaitGroup
	for i := range 3 {
		s := open(t, c.Client(t), "p", session.WithTTL(2*time.Second))
		for j := range 2 {
			client := fmt.Sprintf("%d.%d", i, j)
			all.Go(func() {
				for round := 0; ctx.Err() == nil; round++ {
					err := work(&d, s, client, round)
					if err != nil {
						t.Error(err)
						return
					}
					<-time.After(5 * time.Millisecond) // a history that is too long cannot be judged
				}
			})
		}
	}
	eventually(t, "some holds", func() bool { return d.len() >= 20 })
	trouble()
	n := d.len()
	eventually(t, "some more holds", func() bool { return d.len() >= n+20 })
	cancel()
	all.Wait()
	return d.shares
}

// endure makes the history be compacted and the clients be cut off, for a while and for longer than their leases live, and etcd start again.
func endure(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	compact := func() {
		put(t, c.Admin(), "noise", "") // else there may be nothing to compact
		c.Compact(t)
	}
	pause := func(d time.Duration) { <-time.After(d) } // the callers work on
	for i := range 2 {
		compact()
		pause(300 * time.Millisecond)
		c.Cut()
		compact()
		pause(time.Duration(1+4*i) * 500 * time.Millisecond)
		c.Heal()
		recovers(t, c.Admin())
		pause(500 * time.Millisecond)
		c.Stop(0)
		c.Restart(t, 0)
		recovers(t, c.Admin())
	}
}

func TestReadersWriterHistory(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	shares := troubled(t, c, func() { endure(t, c) }, func(d *diary, s *session.Session, client string, round int) error {
		m, share := lock.NewRWMutex(s, "x"), history.Share{Hold: history.Hold{Name: "x", Client: client}}
		if share.Read = (round+len(client))%3 != 0; share.Read {
			return d.hold(soon(t), share, m.RLock, keep(client, round))
		}
		return d.hold(soon(t), share, m.Lock, keep(client, round))
	})
	judgeShares(t, shares, history.ReadersWriter(shares, time.Minute, ""))
}

func TestSemaphoreHistory(t *testing.T) {
	t.Parallel()
	const size = 3
	c := cluster.New(t, 1)
	shares := troubled(t, c, func() { endure(t, c) }, func(d *diary, s *session.Session, client string, round int) error {
		n := 1 + (round+len(client))%size
		share := history.Share{Hold: history.Hold{Name: "x", Client: client, Portion: history.Portion{Takes: n}}}
		return d.hold(soon(t), share, permits(lock.NewSemaphore(s, "x", size), n), keep(client, round))
	})
	judgeShares(t, shares, history.Semaphore(size, shares, time.Minute, ""))
}

func judgeShares(t *testing.T, shares []history.Share, found []history.Violation) {
	t.Helper()
	for _, v := range found {
		t.Error(v)
	}
	lost := 0
	for _, s := range shares {
		if s.Lost {
			lost++
		}
	}
	t.Logf("%d holds, %d of them lost", len(shares), lost)
}
