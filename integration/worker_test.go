package integration

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/integration/history"
	"etcdkit/integration/process"
	"etcdkit/integration/worker"
)

// crew is a worker.Crew in a test.
type crew struct {
	*worker.Crew
	t *testing.T
}

func hire(t *testing.T, endpoints []string, sight *clientv3.Client, prefix string, ttl time.Duration) crew {
	t.Helper()
	c := crew{worker.Hire(sight, worker.Spec{Endpoints: endpoints, Prefix: prefix, TTL: ttl}, "x"), t}
	t.Cleanup(c.Kill)
	return c
}

func (c crew) start(hold time.Duration) *worker.Child {
	c.t.Helper()
	m, err := c.Start(hold)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

func (c crew) freeze(m *worker.Child) {
	c.t.Helper()
	if err := c.Freeze(m); err != nil {
		c.t.Fatal(err)
	}
}

func (c crew) await(m *worker.Child, what string, ok func(*worker.Child) bool) {
	c.t.Helper()
	if err := m.Await(patience, ok); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

// holding is true while the worker holds and has written n times under that hold.
func holding(n int) func(*worker.Child) bool {
	return func(m *worker.Child) bool {
		hold := m.Holding()
		if hold == nil {
			return false
		}
		_, writes := m.History()
		for _, w := range writes {
			if w.Token == hold.Token && w.Accepted {
				n--
			}
		}
		return n <= 0
	}
}

// judge lets the crew finish and judges what happened. least is how many holds there must have been, or the run is void.
func (c crew) judge(least int) history.History {
	c.t.Helper()
	h, err := c.Finish(soon(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	if len(h.Holds) < least {
		c.t.Errorf("void: %d holds, want %d", len(h.Holds), least)
	}
	judge(c.t, &h)
	return h
}

// judge judges a history. A bad one is kept.
func judge(t *testing.T, h *history.History) {
	t.Helper()
	base := filepath.Join(cmp.Or(os.Getenv("ETCDKIT_HISTORIES"), os.TempDir()), "etcdkit-"+strings.ReplaceAll(t.Name(), "/", "."))
	v, err := h.Judge(base)
	if err != nil {
		t.Error(err)
	}
	for _, bad := range v.Found {
		t.Error(bad)
	}
	if v.File != "" {
		t.Logf("the history is kept in %s: go run ./integration/soak -recheck FILE judges it again", v.File)
	}
	if m, ok := h.Margin(); ok {
		t.Logf("%d holds; least margin between a loss and the key's end: %v", len(h.Holds), time.Duration(m))
	}
}

// A holder that is frozen for longer than its TTL and wakes up (F2): whatever it believes, no write of it is accepted any more.
func TestFrozenHolder(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for phase := range 4 { // of the renewals, which come every third of the TTL
		t.Run(fmt.Sprint(phase), func(t *testing.T) {
			t.Parallel()
			sight := c.Client(t)
			crew := hire(t, c.Endpoints(), sight, fmt.Sprintf("p%d", phase), time.Second)
			a := crew.start(0)
			crew.await(a, "the first holds", holding(3+20*phase))
			b := crew.start(0)
			eventually(t, "the second waits", func() bool { return len(keys(t, sight, crew.Line)) == 2 })
			crew.freeze(a)
			crew.await(b, "the second takes over", holding(3))
			if err := crew.Thaw(a); err != nil {
				t.Fatal(err)
			}
			crew.await(a, "the first learns of its loss", func(m *worker.Child) bool { return m.Holds() == 1 })
			h := crew.judge(2)
			refused := 0
			for _, w := range h.Writes {
				if w.Client == a.Spec.Client && !w.Accepted {
					refused++
				}
			}
			if refused == 0 {
				t.Error("void: the frozen one wrote nothing after it woke up")
			}
		})
	}
}

// A holder that is frozen and cut off before it wakes up: it cannot even ask, and must not believe.
func TestFrozenHolderWakesUpCutOff(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	sight := c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[1:] })
	crew := hire(t, c.Endpoints()[:1], sight, "p", time.Second)
	a := crew.start(0)
	crew.await(a, "the first holds", holding(3))
	crew.Spec.Endpoints = c.Endpoints()[1:]
	b := crew.start(0)
	eventually(t, "the second waits", func() bool { return len(keys(t, sight, crew.Line)) == 2 })
	crew.freeze(a)
	c.Cut(0)
	crew.await(b, "the second takes over", holding(3))
	if err := crew.Thaw(a); err != nil {
		t.Fatal(err)
	}
	crew.await(a, "the first learns of its loss", func(m *worker.Child) bool { return m.Holding() == nil })
	c.Heal(0)
	crew.judge(2)
}

// A holder that is frozen for less than its TTL loses nothing.
func TestFrozenForAMoment(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	crew := hire(t, c.Endpoints(), c.Client(t), "p", 10*time.Second)
	a := crew.start(0)
	for n := 1; n < 4; n++ {
		crew.await(a, "it holds", holding(3*n))
		crew.freeze(a)
		time.Sleep(200 * time.Millisecond) // a frozen process has no event to wait for
		if err := crew.Thaw(a); err != nil {
			t.Fatal(err)
		}
	}
	crew.await(a, "it still holds", holding(12))
	if holds, _ := a.History(); len(holds) != 0 {
		t.Errorf("lost: %+v", holds)
	}
	crew.judge(1)
}

// Holders and waiters that are killed (F1): the others go on, and nothing is left of the dead.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	crew := hire(t, c.Endpoints(), c.Client(t), "p", time.Second)
	for range 4 {
		crew.start(20 * time.Millisecond)
	}
	crew.await(crew.Members[0], "it holds", holding(1))
	crew.Members[0].Kill() // a holder
	waiter := crew.Members[1]
	crew.await(waiter, "it has held", func(m *worker.Child) bool { return m.Holds() > 2 })
	waiter.Kill() // most likely a waiter
	last := crew.Members[3]
	crew.await(last, "it goes on", func(m *worker.Child) bool { return m.Holds() > 10 })
	crew.judge(12)
}

// atWork is a crew of three on a cluster of three members that are processes.
type atWork struct {
	crew
	etcd *process.Cluster
}

func work(t *testing.T) atWork {
	t.Helper()
	etcd, err := process.Start(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	sight, err := etcd.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sight.Close() })
	w := atWork{hire(t, etcd.Endpoints(), sight, "p", 5*time.Second), etcd}
	for range 3 {
		w.start(10 * time.Millisecond)
	}
	w.progress("before")
	return w
}

// progress waits until every member of the crew has held the lock some more times.
func (w atWork) progress(what string) {
	w.t.Helper()
	if err := w.Progress(patience, 3, what); err != nil {
		w.t.Fatal(err)
	}
}

func (w atWork) leader() int {
	w.t.Helper()
	i, err := w.etcd.Leader(soon(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// The leader of a real cluster is killed with SIGKILL, twice (F3), while a crew works.
func TestKilledLeader(t *testing.T) {
	t.Parallel()
	w := work(t)
	for range 2 {
		dead := w.leader()
		w.etcd.Kill(dead)
		w.progress("with the leader killed")
		if err := w.etcd.Restart(dead); err != nil {
			t.Fatal(err)
		}
		w.progress("with the member back")
	}
	w.judge(40)
}

// The leader is frozen until others lead, and wakes up (F4). An etcd that slept through its own replacement can revoke leases that were renewed
// with the new leader (its lessor finds them run out, and a revocation that it proposes is obeyed), so a holder can be robbed before
// its deadline: seen in one run of six. Its context ends when it sees its key gone; until then the guard is what holds.
func TestFrozenLeader(t *testing.T) {
	t.Parallel()
	w := work(t)
	frozen := w.leader()
	from := worker.Now()
	if err := w.etcd.Stop(frozen); err != nil {
		t.Fatal(err)
	}
	w.progress("with the leader frozen")
	if err := w.etcd.Continue(frozen); err != nil {
		t.Fatal(err)
	}
	w.progress("with the frozen leader awake")
	until := worker.Now() + int64(w.Spec.TTL)
	w.Rob(history.Robbery{How: "the leader was frozen, and woke up", From: from, To: until})
	w.Disturb(history.Disturbance{What: "leader frozen", From: from, To: until})
	w.judge(20)
}
