package integration

import (
	"strconv"
	"testing"
	"time"

	"etcdkit/integration/cluster"
	"etcdkit/integration/worker"
)

// sharing is a job of a process that holds twice, of another one that holds beside it, and what a third one wants, which they keep out.
type sharing struct {
	job     string
	against string // the job of the third one
	takes   int    // and how much it takes
	stuck   int    // keys in the line when all are there: those that hold, of which readers need one, and those that wait
}

var sharings = []sharing{
	{job: "readers", against: "rwmutex", stuck: 3},
	{job: "permits", against: "permits", takes: 2, stuck: 4},
}

// begin returns the one who holds twice, and the one who waits for it.
func (s sharing) begin(t *testing.T, c *cluster.Cluster, phase int) (crew crew, holder, waiter *worker.Child) {
	t.Helper()
	sight := c.Client(t)
	spec := worker.Spec{
		Endpoints: c.Endpoints(), Prefix: "p" + s.job + strconv.Itoa(phase), TTL: time.Second,
		Job: s.job, Takes: 1, Callers: 2,
	}
	crew.Crew, crew.t = worker.Hire(sight, spec, "x"), t
	t.Cleanup(crew.Kill)
	holder = crew.start(0)
	crew.await(holder, "the first holds twice", func(m *worker.Child) bool { return len(m.HoldingAll()) == 2 && holding(3+20*phase)(m) })
	crew.Spec.Callers = 0
	beside := crew.start(10 * time.Millisecond)
	crew.await(beside, "the second holds beside it", more(beside, 2))
	if n := len(holder.HoldingAll()); n != 2 {
		t.Fatalf("void: the first holds %d times", n)
	}
	crew.Spec.Job, crew.Spec.Takes = s.against, s.takes
	waiter = crew.start(10 * time.Millisecond)
	eventually(t, "the third waits, and the second behind it", func() bool { return len(keys(t, sight, crew.Line)) == s.stuck })
	return crew, holder, waiter
}

// Who shares is frozen for longer than its TTL and wakes up (F2): those who waited are in meanwhile, and no write of it is accepted any more.
func TestFrozenSharers(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for _, s := range sharings {
		for phase := range 2 { // of the renewals, which come every third of the TTL
			t.Run(s.job+strconv.Itoa(phase), func(t *testing.T) {
				t.Parallel()
				crew, holder, waiter := s.begin(t, c, phase)
				crew.freeze(holder)
				crew.await(waiter, "who waited takes over", more(waiter, 3))
				must(t, crew.Thaw(holder))
				crew.await(holder, "both holds are lost", func(m *worker.Child) bool { return m.Holds() >= 2 })
				h := crew.judge(8)
				lost := make(map[int64]int)
				for _, hold := range h.Holds {
					if hold.Client == holder.Spec.Client && hold.Lost {
						lost[hold.Token] = 0
					}
				}
				for _, w := range h.Writes {
					if _, ok := lost[w.Token]; ok && !w.Accepted {
						lost[w.Token]++
					}
				}
				if len(lost) == 0 {
					t.Error("void: the frozen one lost nothing")
				}
				for token, refused := range lost {
					if refused == 0 {
						t.Errorf("void: nothing was written under token %d after the one who had it woke up", token)
					}
				}
			})
		}
	}
}

// Who shares is killed (F1): those who waited are in, and nothing is left of it.
func TestKilledSharers(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for _, s := range sharings {
		t.Run(s.job, func(t *testing.T) {
			t.Parallel()
			crew, holder, waiter := s.begin(t, c, 0)
			holder.Kill()
			crew.await(waiter, "who waited takes over", more(waiter, 3))
			crew.judge(7)
		})
	}
}
