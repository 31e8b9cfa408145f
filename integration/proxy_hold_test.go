package integration

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/integration/proxy"
	"etcdkit/lock"
	"etcdkit/session"
)

// behindProxy returns what connect does, with a proxy of its own before the endpoint, so that all replies which that counts are this
// client's.
func behindProxy(t *testing.T, endpoint string, connect func(testing.TB, ...func(*clientv3.Config)) *clientv3.Client) (*proxy.Proxy, *clientv3.Client) {
	t.Helper()
	p, err := proxy.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.Open(strings.TrimPrefix(endpoint, "http://"))
	return p, connect(t, func(cfg *clientv3.Config) { cfg.Endpoints = []string{p.URL()} })
}

// awaitHeld waits until the reply is held: without that, what a test shows would be void.
func awaitHeld(t *testing.T, h *proxy.Held) {
	t.Helper()
	if err := h.Wait(soon(t)); err != nil {
		t.Fatal(err)
	}
}

// release lets a reply go on that is held.
func release(t *testing.T, h *proxy.Held) {
	t.Helper()
	if !h.Release() {
		t.Fatal("void: the held reply was lost")
	}
}

// An event is held while puts and gets of the same connection go on; what was written meanwhile follows it in order.
func TestHeldWatchEvent(t *testing.T) {
	t.Parallel()
	p, client := behindProxy(t, cluster.SharedEndpoints()[0], cluster.Shared)
	key := cluster.Prefix(t) + "/key"
	watch := client.Watch(soon(t), key, clientv3.WithCreatedNotify())
	if resp := <-watch; !resp.Created {
		t.Fatalf("the watch began with %v", resp)
	}
	h := p.HoldStreamReply(1)
	for i := range 10 {
		mustPut(t, client, key, strconv.Itoa(i))
		if got := value(t, client, key); got != strconv.Itoa(i) {
			t.Errorf("read %q after writing %d", got, i)
		}
	}
	awaitHeld(t, h)
	value(t, client, key) // an answer that came after the event
	select {
	case resp := <-watch:
		t.Fatalf("got %v, which should have been held", resp.Events)
	default:
	}
	release(t, h)
	for i := 0; i < 10; {
		resp, ok := <-watch
		if !ok || resp.Err() != nil {
			t.Fatalf("the watch ended after %d events: %v", i, resp.Err())
		}
		for _, ev := range resp.Events {
			if string(ev.Kv.Value) != strconv.Itoa(i) {
				t.Errorf("event %d says %q", i, ev.Kv.Value)
			}
			i++
		}
	}
}

// countRenewals is an option of a session that counts the renewals it hears of.
func countRenewals(n *atomic.Int64) session.Option {
	return session.WithTrace(&session.Trace{Renewed: func(clientv3.LeaseID, time.Duration, time.Duration) { n.Add(1) }})
}

// The answer to a renewal comes after the deadline, and no other does (X1): the epoch has ended while its key is still there, and the
// answer revives nothing, though the server did prolong the lease.
func TestLateRenewalRevivesNothing(t *testing.T) {
	t.Parallel()
	p, client := behindProxy(t, cluster.SharedEndpoints()[0], cluster.Shared)
	direct, prefix := cluster.Shared(t), cluster.Prefix(t)
	var renewals atomic.Int64
	h := p.HoldStreamReply(1)
	s := open(t, client, prefix, session.WithTTL(3*time.Second), countRenewals(&renewals))
	l := mustLease(t, s)
	key := prefix + "/session/" + strconv.FormatInt(int64(l.ID()), 16)

	awaitHeld(t, h)
	p.Swallow(proxy.Requests) // the server hears of no other renewal
	done(t, "the end of the epoch", l.Context().Done())
	if value(t, direct, key) == "" {
		t.Error("the key went before the epoch ended")
	}
	release(t, h)
	eventually(t, "the end of the lease", func() bool { return value(t, direct, key) == "" })
	if !reason(session.Expired)(l.Err()) || s.Healthy() == nil || renewals.Load() != 0 {
		t.Errorf("after the late answer: Err %v, healthy %v, %d renewals", l.Err(), s.Healthy(), renewals.Load())
	}
	p.Unblackhole()
	if again := mustLease(t, s); again == l || again.ID() == l.ID() || again.Err() != nil {
		t.Errorf("the next epoch has the lease %x, Err %v; the old one %x", again.ID(), again.Err(), l.ID())
	}
}

// All answers are late, that to the renewal under way at the deadline too: it comes the moment the epoch has ended. The lease lives, since the
// server renewed it each time, and so the next epoch is on the same one; but the old epoch and its hold stay ended.
func TestRenewalsThatAreLateByAMoment(t *testing.T) {
	t.Parallel()
	p, client := behindProxy(t, cluster.SharedEndpoints()[0], cluster.Shared)
	var renewals atomic.Int64
	s := open(t, client, cluster.Prefix(t), session.WithTTL(4*time.Second), countRenewals(&renewals))
	m := lock.NewMutex(s, "x")
	var holds []*proxy.Held
	for n := range 100 { // far more than are sent in time
		holds = append(holds, p.HoldStreamReply(n+1))
	}
	h := mustLock(t, m)
	l := mustLease(t, s)
	done(t, "the end of the epoch", l.Context().Done())
	heard, late := renewals.Load(), 0
	for _, one := range holds {
		if one.Release() {
			late++
		}
	}
	if heard != 0 || late < 3 { // the answer to the hold's watch of its own key, and two or three renewals
		t.Fatalf("void: %d renewals were heard of, %d replies were late", heard, late)
	}
	again := mustLease(t, s)
	if again == l || again.ID() != l.ID() || again.Err() != nil {
		t.Errorf("the next epoch has the lease %x, Err %v; the old one %x", again.ID(), again.Err(), l.ID())
	}
	if !reason(session.Expired)(l.Err()) || !reason(session.Expired)(h.Err()) {
		t.Errorf("revived: the epoch's Err %v, the hold's %v", l.Err(), h.Err())
	}
	won := mustLock(t, m)
	if won.Token() <= h.Token() {
		t.Errorf("token %d after %d", won.Token(), h.Token())
	}
	mustUnlock(t, won)
}

// heldRelease has a session wait for a lock behind a proxy, and holds what tells it of the release. The cluster is the test's own: whoever
// writes between the claim and the watch makes the waiter look again, and then it needs no event.
func heldRelease(t *testing.T, m *lock.Mutex, p *proxy.Proxy, client *clientv3.Client) (<-chan *lock.Hold, *proxy.Held) {
	t.Helper()
	h := mustLock(t, m)
	created, deleted := p.HoldStreamReply(1), p.HoldStreamReply(2)
	s := open(t, client, "p", session.WithTTL(10*time.Minute)) // no renewal is due: the watch's are all the replies on streams
	waiting := async(t, lock.NewMutex(s, "x"))
	awaitHeld(t, created)
	release(t, created)
	mustUnlock(t, h)
	awaitHeld(t, deleted)
	return waiting, deleted
}

// notGranted checks that the waiter has not got the lock.
func notGranted(t *testing.T, waiting <-chan *lock.Hold) {
	t.Helper()
	select {
	case h := <-waiting:
		t.Fatalf("granted with token %d, before the release was told", h.Token())
	default:
	}
}

// What tells a waiter of the release is late: nobody gets in before it, other locks of the same connection go on, and then it wins.
func TestHeldReleaseOfALock(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	p, client := behindProxy(t, c.Endpoints()[0], c.Client)
	direct := open(t, c.Client(t), "p")
	m := lock.NewMutex(direct, "x")
	waiting, deleted := heldRelease(t, m, p, client)

	other := open(t, client, "p")
	for i := range 3 {
		name := fmt.Sprint("y", i)
		mustUnlock(t, mustLock(t, lock.NewMutex(other, name)))
		h := mustLock(t, lock.NewMutex(direct, name))
		held := async(t, lock.NewMutex(other, name))
		awaitWaiters(t, lock.NewMutex(direct, name), 2)
		mustUnlock(t, h)
		mustUnlock(t, next(t, held))
	}
	behind := async(t, m)
	awaitWaiters(t, m, 2)
	notGranted(t, waiting)
	notGranted(t, behind) // it stands behind the waiter
	release(t, deleted)
	h := next(t, waiting)
	if h.Err() != nil {
		t.Error(h.Err())
	}
	notGranted(t, behind)
	mustUnlock(t, h)
	mustUnlock(t, next(t, behind))
	awaitNoKeys(t, c.Admin(), m.Key())
}

// Before a waiter is told of the release its key is broken, and somebody else gets in: the late word is no grant.
func TestHeldReleaseIsNoPhantom(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	p, client := behindProxy(t, c.Endpoints()[0], c.Client)
	direct := open(t, c.Client(t), "p")
	m := lock.NewMutex(direct, "x")
	waiting, deleted := heldRelease(t, m, p, client)
	if _, err := lock.Break(soon(t), direct, "x"); err != nil {
		t.Fatal(err)
	}
	holder := mustLock(t, m)
	release(t, deleted)
	awaitWaiters(t, m, 2) // it looked, and queued again
	notGranted(t, waiting)
	if holder.Err() != nil {
		t.Error(holder.Err())
	}
	mustUnlock(t, holder)
	h := next(t, waiting)
	if h.Token() <= holder.Token() {
		t.Errorf("token %d after %d", h.Token(), holder.Token())
	}
	mustUnlock(t, h)
	awaitNoKeys(t, c.Admin(), m.Key())
}
