package httpdisc

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// ServiceStatus is how a service stands, as a Gateway sees it.
type ServiceStatus struct {
	Service   string
	Instances int           // that take requests, as they say themselves
	Draining  int           // that are about to leave
	Unhealthy int           // that say that they are
	Down      []string      // IDs of those among Instances that fail the active check
	Stale     time.Duration // for how long the list is not known to be true; 0 while it is
	Err       error         // why there is no list, or why it is stale
}

// Services tells how the services stand that the routes lead to, by name. It asks nobody, so it suits metrics.
func (g *Gateway) Services() []ServiceStatus {
	var all []ServiceStatus
	seen := map[*service]bool{}
	g.table.Load().each(func(p *path) {
		if !seen[p.service] {
			seen[p.service] = true
			all = append(all, p.service.status())
		}
	})
	slices.SortFunc(all, func(a, b ServiceStatus) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

func (sv *service) status() ServiceStatus {
	st := ServiceStatus{Service: sv.name}
	v := sv.view.Load()
	if v == nil {
		if err := sv.failed.Load(); err != nil {
			st.Err = *err
		}
		return st
	}
	s := v.Snapshot()
	st.Instances, st.Draining, st.Unhealthy, st.Stale, st.Err = len(s.Instances), len(s.Draining), len(s.Unhealthy), v.Stale(), s.Err
	if d := sv.health.down.Load(); d != nil {
		for i := range s.Instances {
			if d.has(&s.Instances[i]) {
				st.Down = append(st.Down, s.Instances[i].ID)
			}
		}
	}
	return st
}

// each calls f for each route.
func (t *table) each(f func(*path)) {
	for _, ps := range t.hosts {
		for _, p := range ps.byPrefix {
			f(p)
		}
	}
}

// buffers is the pool of those that response bodies are copied with.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	const size = 32 << 10
	b := new(buffers)
	b.pool.New = func() any { buf := make([]byte, size); return &buf }
	return b
}

// Get returns one.
func (b *buffers) Get() []byte { return *b.pool.Get().(*[]byte) }

// Put takes one back.
func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
