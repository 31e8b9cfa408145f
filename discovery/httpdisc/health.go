package httpdisc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/discovery"
)

const (
	checksAtOnce = 16 // for each service
	checkTimeout = 2 * time.Second
	failuresDown = 2 // in a row: one may be a coincidence
)

// health is what active checks found of a service.
type health struct {
	down atomic.Pointer[down] // nil while nobody is
}

// down is a set of instances that do not answer. It does not change, but for what it keeps.
type down struct {
	ids  map[string]string // the address that each had
	part atomic.Pointer[partial]
}

// partial is a snapshot without them.
type partial struct {
	of, rest *discovery.Snapshot
}

// filter has a Picker choose among those that are not down.
func (h *health) filter(p discovery.Picker) discovery.Picker {
	if d := h.down.Load(); d != nil {
		return &filtered{p, d}
	}
	return p
}

// rest returns a snapshot without those that are down.
func (h *health) rest(s *discovery.Snapshot) *discovery.Snapshot {
	if d := h.down.Load(); d != nil {
		return d.without(s)
	}
	return s
}

func (d *down) has(inst *discovery.Instance) bool {
	addr, ok := d.ids[inst.ID]
	return ok && addr == inst.Addr
}

// without returns the snapshot without those that are down. It stays the same as long as s does, since Pickers count on that.
func (d *down) without(s *discovery.Snapshot) *discovery.Snapshot {
	if kept := d.part.Load(); kept != nil && kept.of == s {
		return kept.rest
	}
	rest := *s
	rest.Instances = nil
	for i := range s.Instances {
		if !d.has(&s.Instances[i]) {
			rest.Instances = append(rest.Instances, s.Instances[i])
		}
	}
	kept := &partial{s, &rest}
	if len(rest.Instances) == 0 {
		kept.rest = s // if all seem to be down, it may well be the check
	}
	d.part.Store(kept)
	return kept.rest
}

type filtered struct {
	inner discovery.Picker
	down  *down
}

// Pick picks from the rest.
func (f *filtered) Pick(s *discovery.Snapshot) (*discovery.Instance, func(error), error) {
	return f.inner.Pick(f.down.without(s))
}

// A checker asks the instances of one service for a path, until it is stopped.
type checker struct {
	sv     *service
	path   string
	every  time.Duration
	cancel context.CancelFunc
	done   chan struct{}
}

func startChecker(ctx context.Context, sv *service, path string, every time.Duration) *checker {
	ctx, cancel := context.WithCancel(ctx)
	c := &checker{sv: sv, path: path, every: every, cancel: cancel, done: make(chan struct{})}
	go c.run(ctx) // stop waits for it
	return c
}

// stop returns when nothing runs any more. What was down is up then, as far as this can tell.
func (c *checker) stop() {
	c.cancel()
	<-c.done
}

func (c *checker) run(ctx context.Context) {
	defer close(c.done)
	defer c.sv.health.down.Store(nil)
	failures := map[string]int{} // in a row, by ID and address
	for ctx.Err() == nil {
		if v, err := c.sv.current(ctx); err == nil {
			failures = c.round(ctx, v, failures)
		}
		pause(ctx, jitter(c.every))
	}
}

// round asks each instance once.
func (c *checker) round(ctx context.Context, v *discovery.View, before map[string]int) map[string]int {
	instances := v.Snapshot().Instances
	errs := make([]error, len(instances))
	var wg sync.WaitGroup
	slots := make(chan struct{}, checksAtOnce)
	for i := range instances {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = c.ask(ctx, v, &instances[i])
			<-slots
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return before
	}
	after, gone := map[string]int{}, map[string]string{}
	for i := range instances {
		inst := &instances[i]
		key := inst.ID + " " + inst.Addr
		if errs[i] != nil {
			after[key] = before[key] + 1
		}
		if after[key] >= failuresDown {
			gone[inst.ID] = inst.Addr
		}
		if was, is := before[key] >= failuresDown, after[key] >= failuresDown; was != is && c.sv.of.options.trace.Checked != nil {
			c.sv.of.options.trace.Checked(c.sv.name, inst, errs[i])
		}
	}
	c.publish(gone)
	return after
}

// publish keeps what there is where nothing has changed, so that Pickers go on with the snapshot that they know.
func (c *checker) publish(gone map[string]string) {
	old := c.sv.health.down.Load()
	switch {
	case len(gone) == 0:
		c.sv.health.down.Store(nil)
	case old == nil || !equal(old.ids, gone):
		c.sv.health.down.Store(&down{ids: gone})
	}
}

func equal(a, b map[string]string) bool {
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return len(a) == len(b)
}

// ask tells what is wrong with an instance. A connection that fails is news for the view, too.
func (c *checker) ask(ctx context.Context, v *discovery.View, inst *discovery.Instance) error {
	asking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	target := &url.URL{Scheme: "http", Host: inst.Addr}
	if inst.Protocol == "https" {
		target.Scheme = "https"
	}
	target, err := target.Parse(c.path)
	if err != nil {
		return err
	}
	req := (&http.Request{
		Method: http.MethodGet, URL: target, Host: c.sv.name, Header: http.Header{"User-Agent": {"etcdkit-health"}},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(asking)
	resp, err := c.sv.of.base.RoundTrip(req)
	if err != nil {
		if ctx.Err() == nil {
			v.Report(*inst, err)
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	const most = 64 << 10 // so that the connection can be used again, usually
	if _, err := io.CopyN(io.Discard, resp.Body, most); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("GET %s: status %d", c.path, resp.StatusCode)
	}
	return nil
}
