package httpdisc

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/session"
)

// Gateway is an http.Handler that sends each request to an instance of the service that its routes name.
type Gateway struct {
	options  options
	services *services
	buffers  *buffers
	log      *log.Logger
	flight   flight

	table atomic.Pointer[table]

	ctx    context.Context // of what follows the routes, and of requests that are not let go on
	cancel context.CancelCauseFunc
	live   sync.WaitGroup

	mu       sync.Mutex // protects the rest, and the changing of table
	closed   bool
	checkers map[string]*checker // by service
}

// StartGateway returns a Gateway with these routes, which with WithLiveRoutes are those that count while nothing stands in etcd. It reads the live
// ones before it returns, or returns an error when ctx ends, or where what stands there cannot be used; with WithLastGood it
// then begins with what was last. The services' lists are read meanwhile. ctx bounds the call alone: Close or Shutdown ends the Gateway.
//
// With static routes and WithView for each service, the session may be nil; else that is an error.
func StartGateway(ctx context.Context, s *session.Session, routes Routes, opts ...Option) (*Gateway, error) {
	o := newOptions(opts)
	if err := errors.Join(o.checkGateway(), routes.Validate()); err != nil {
		return nil, fmt.Errorf("httpdisc: gateway: %w", err)
	}
	if err := o.checkSources(s, routes); err != nil {
		return nil, fmt.Errorf("httpdisc: gateway: %w", err)
	}
	g := &Gateway{options: o, services: newServices(s, o), buffers: newBuffers(), checkers: make(map[string]*checker)}
	if g.services.owned != nil {
		g.services.owned.DisableCompression = true // else it would undo what the client has not asked for
	}
	g.log = log.New(discard{}, "", 0)
	if s != nil {
		g.log = slog.NewLogLogger(s.Hub().Log.Handler(), slog.LevelDebug)
	}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	if o.live == nil {
		g.apply(routes)
		return g, nil
	}
	v, err := g.watchRoutes(ctx, routes)
	if err != nil {
		g.services.close()
		return nil, err
	}
	g.apply(v.Get())
	g.live.Go(func() { g.follow(v, routes) })
	return g, nil
}

// Routes returns the routes in use. They must not be changed.
func (g *Gateway) Routes() Routes { return g.table.Load().routes }

// ServeHTTP proxies a request. It answers itself, with a body that says why, where that cannot be: 404 without a route, 503 without an instance
// (with Retry-After), 502 where none answered, 504 where one did not begin to in time (WithTimeout), 413, 408 and 400 for bodies that are too
// large, too slow or broken, and 400 for targets, hosts and upgrades that are not as they should be. A client that does not take the response
// in time is cut off (WithStallTimeout).
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{told: Exchange{Request: r}, began: time.Now()}
	ctx, cancel := context.WithCancelCause(r.Context())
	x.Context = ctx
	g.flight.enter()
	finished := false
	defer func() {
		cancel(nil)
		x.leave()
		done := x.end(!finished)
		if f := g.options.trace.RequestDone; f != nil {
			f(done)
		}
		g.flight.leave()
	}()
	if r.Body != nil && r.ContentLength != 0 {
		x.body = &clientBody{ReadCloser: r.Body, x: x, conn: http.NewResponseController(w), within: or(g.options.clientTimeout, time.Minute)}
	}
	g.serve(&answer{
		ResponseWriter: w, x: x, conn: http.NewResponseController(w), within: or(g.options.stallTimeout, time.Minute),
	}, r, x, cancel)
	finished = true
}

func (g *Gateway) serve(w *answer, r *http.Request, x *exchange, cancel context.CancelCauseFunc) {
	if !g.admit(w, r, x) {
		return
	}
	p := g.table.Load().find(r.Host, r.URL.Path)
	if p == nil {
		g.refuse(w, x, http.StatusNotFound, "no route for this host and path")
		return
	}
	x.path, x.told.Route = p, &p.Route
	if p.stripped != "" && r.URL.RawPath != "" && !p.strip(&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}) {
		g.refuse(w, x, http.StatusBadRequest, "the path has escapes in its prefix")
		return
	}
	if x.upgrade {
		defer context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })()
	}
	out := r.WithContext(x)
	if !g.takeBody(w, out, x) {
		return
	}
	x.patience.begin(p.timeout, cancel)
	p.proxy.ServeHTTP(w, out)
	w.finish()
}

// flushAfter is for how long a piece of a response may wait for the next one. Without a wait each response would cost a system call more.
const flushAfter = 10 * time.Millisecond

// newProxy returns what proxies the requests of a route.
func (g *Gateway) newProxy(p *path) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       g.rewriter(p),
		Transport:     routed{p.service},
		BufferPool:    g.buffers,
		FlushInterval: flushAfter,
		ErrorLog:      g.log,
		ErrorHandler:  g.fail,
		ModifyResponse: func(resp *http.Response) error { // the response has begun
			x := exchangeOf(resp.Request)
			if resp.StatusCode == http.StatusSwitchingProtocols && (!x.upgrade || !strings.EqualFold(resp.Header.Get("Upgrade"), websocket)) {
				return errSwitched
			}
			x.patience.end()
			x.told.Status = resp.StatusCode
			return nil
		},
	}
}

var errSwitched = errors.New("the instance has switched to a protocol that was not asked for")

// routed sends the requests of a route.
type routed struct{ service *service }

// RoundTrip sends a request that is a proxy's own.
func (t routed) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.service.send(r, exchangeOf(r))
}

// apply puts routes into use.
func (g *Gateway) apply(routes Routes) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	old := g.table.Load()
	next := newTable(routes, func(p *path) {
		p.timeout = or(g.options.timeout, 30*time.Second)
		if p.Timeout != 0 {
			p.timeout = p.Timeout
		}
		p.service, _ = g.services.pin(p.Service) // which fails only when closed, or without a session: StartGateway has looked for that
		p.proxy = g.newProxy(p)
	})
	g.table.Store(next)
	g.check(next)
	if old != nil {
		old.each(func(p *path) { g.services.unpin(p.service) })
	}
}

// check starts and stops active checks. Their goroutines never take g.mu, so that they can be waited for.
func (g *Gateway) check(t *table) {
	for name, c := range g.checkers {
		if t.routes.Health[name] != c.path {
			c.stop()
			delete(g.checkers, name)
		}
	}
	t.each(func(p *path) {
		if at := t.routes.Health[p.Service]; at != "" && g.checkers[p.Service] == nil {
			g.checkers[p.Service] = startChecker(g.ctx, p.service, at, or(g.options.healthEvery, 5*time.Second))
		}
	})
}

// discard is for a gateway without a session, which is where the log is.
type discard struct{}

// Write drops it.
func (discard) Write(p []byte) (int, error) { return len(p), nil }
