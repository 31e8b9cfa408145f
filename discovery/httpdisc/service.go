package httpdisc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/discovery"
	"etcdkit/internal/lastgood"
	"etcdkit/session"
)

const (
	openTimeout = 5 * time.Second // for the first list of a service; requests wait for it
	reopenEvery = 5 * time.Second // after a failure
	idleAfter   = 5 * time.Minute // without a request, up to twice that, a view is closed
)

// services is all that are in use by one Transport or Gateway. It is the owner of what runs for them.
type services struct {
	session *session.Session
	options options
	base    http.RoundTripper
	owned   *http.Transport // base, if it is ours
	idle    time.Duration   // idleAfter

	ctx    context.Context // ends at close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	byName sync.Map // string to *service: read without a lock, changed under mu

	mu     sync.Mutex  // protects the changing of closed, and the pins of all services
	closed atomic.Bool // requests are refused, and no service is added
}

func newServices(s *session.Session, o options) *services {
	ss := &services{session: s, options: o, base: o.base, idle: idleAfter}
	if ss.base == nil {
		ss.owned = newBase()
		ss.base = ss.owned
	}
	ss.ctx, ss.cancel = context.WithCancel(context.Background())
	return ss
}

// close ends everything, and waits for it. What is in flight goes on.
func (ss *services) close() {
	ss.mu.Lock()
	ss.closed.Store(true)
	ss.mu.Unlock()
	ss.cancel()
	ss.wg.Wait()
	if ss.owned != nil {
		ss.owned.CloseIdleConnections()
	}
}

// get returns the service of that name, and begins to follow it if nobody has yet.
func (ss *services) get(name string) (*service, error) {
	if ss.closed.Load() {
		return nil, ErrClosed
	}
	if sv, ok := ss.byName.Load(name); ok {
		sv := sv.(*service)
		if !sv.used.Load() { // a store each time would have all cores fight for it
			sv.used.Store(true)
		}
		return sv, nil
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.getLocked(name)
}

// pin does as get, and keeps the service from being idle until unpin.
func (ss *services) pin(name string) (*service, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	sv, err := ss.getLocked(name)
	if err == nil {
		sv.pins++
	}
	return sv, err
}

func (ss *services) unpin(sv *service) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	sv.pins--
}

func (ss *services) getLocked(name string) (*service, error) {
	if sv, ok := ss.byName.Load(name); ok {
		sv := sv.(*service)
		sv.used.Store(true)
		return sv, nil
	}
	if ss.closed.Load() {
		return nil, ErrClosed
	}
	v := ss.options.views[name]
	if v == nil && ss.session == nil {
		return nil, errNoSession
	}
	sv := &service{
		name: name, of: ss, tried: make(chan struct{}), choose: ss.options.picker(name),
		budget: budget{share: ss.options.share, perSecond: ss.options.perSecond},
	}
	sv.used.Store(true)
	if v != nil {
		sv.view.Store(v)
		close(sv.tried)
	} else {
		ss.wg.Go(func() { sv.run(ss.ctx) })
	}
	ss.byName.Store(name, sv)
	return sv, nil
}

var errNoSession = errors.New("there is neither a session nor a view of it (WithView)")

// retire takes a service out of use if it is idle.
func (ss *services) retire(sv *service) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if sv.pins > 0 || sv.used.Swap(false) {
		return false
	}
	ss.byName.Delete(sv.name)
	return true
}

// service is one that requests go to.
type service struct {
	name   string
	of     *services
	choose func(*http.Request) discovery.Picker
	budget budget
	health health

	tried  chan struct{}                  // closed when the first list is there, or could not be read
	view   atomic.Pointer[discovery.View] // the newest that was opened; goes on to answer after it was closed
	failed atomic.Pointer[error]          // of the last try to open one, while there is none

	used atomic.Bool // since retire asked last
	pins int         // protected by of.mu
}

// current returns the view. The first requests wait for it.
func (sv *service) current(ctx context.Context) (*discovery.View, error) {
	if v := sv.view.Load(); v != nil {
		return v, nil
	}
	select {
	case <-sv.tried:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if v := sv.view.Load(); v != nil {
		return v, nil
	}
	return nil, unread(sv.name, *sv.failed.Load())
}

// run follows the service until it is idle, or ctx ends.
func (sv *service) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { sv.follow(ctx) })
	tick := time.NewTicker(sv.of.idle)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			if sv.of.retire(sv) {
				cancel()
			}
		case <-ctx.Done():
		}
	}
	cancel()
	following.Wait()
}

// follow opens a view, and another one when that can be followed no more: its rights were taken away, or its cluster was restored.
// Until the next one is open, the last one answers.
func (sv *service) follow(ctx context.Context) {
	for first := true; ctx.Err() == nil; first = false {
		v, err := sv.open(ctx)
		if err != nil {
			sv.failed.Store(&err)
		} else if old := sv.view.Load(); old != nil {
			sv.settle(ctx, v, len(old.Instances()))
			sv.view.Store(v)
			_ = old.Close() // what it could not write to its file, the next one will
		} else {
			sv.view.Store(v)
		}
		if first {
			close(sv.tried)
		}
		if err == nil {
			for _, err := range v.Changes(ctx) {
				if err != nil {
					break // the view's Snapshot says the same
				}
			}
		}
		if ctx.Err() == nil {
			pause(ctx, jitter(reopenEvery))
		}
	}
	if v := sv.view.Load(); v != nil {
		_ = v.Close()
	}
}

// settle waits until a view has at least half as many instances as the one before it, for two TTLs at most: in a cluster that was restored from
// a backup, those that live are about to register again.
func (sv *service) settle(ctx context.Context, v *discovery.View, before int) {
	ctx, cancel := context.WithTimeout(ctx, 2*sv.of.session.Hub().TTL)
	defer cancel()
	for ch, err := range v.Changes(ctx) {
		if err != nil || 2*len(ch.Snapshot.Instances) >= before {
			return
		}
	}
}

func (sv *service) open(ctx context.Context) (*discovery.View, error) {
	opts := sv.of.options.watch
	if dir := sv.of.options.lastGood; dir != nil {
		opts = append(opts[:len(opts):len(opts)], discovery.WithLastGood(filepath.Join(*dir, fileOf(sv.name))))
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return discovery.Watch(ctx, sv.of.session, sv.name, opts...)
}

// fileOf names the file of a service, which is never that of another one, nor of the routes.
func fileOf(service string) string { return lastgood.Name(service) + ".service.json" }

// jitter spreads what is done now and then.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
