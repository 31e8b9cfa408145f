package httpdisc

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"etcdkit/discovery"
	"etcdkit/session"
)

// Option changes a default of NewTransport or StartGateway. Where it is for one of them alone it says so, and the other refuses it.
type Option func(*options)

type options struct {
	base      http.RoundTripper
	picker    func(service string) func(*http.Request) discovery.Picker
	retries   int
	share     float64
	perSecond float64
	watch     []discovery.Option
	lastGood  *string
	views     map[string]*discovery.View
	trace     Trace

	hosts func(host string) (service string, ok bool) // of a Transport

	live          *string // all of a Gateway
	timeout       *time.Duration
	clientTimeout *time.Duration
	stallTimeout  *time.Duration
	healthEvery   *time.Duration
	maxBody       *int64
	trusted       []netip.Prefix
}

// WithBase sends the requests through this RoundTripper instead of one of the package's own, which dials for two seconds at most, keeps up to 512
// idle connections for each instance, for 30 s, and ignores proxies of the environment. It gets the address of an instance as the
// URL's host, and must not be closed before.
func WithBase(base http.RoundTripper) Option { return func(o *options) { o.base = base } }

// WithPicker chooses the instances in another way. f is called once for each service, and what it returns for each request: the same Picker again and
// again, or one for what the request says, such as that of a key of discovery.ConsistentHash. The default is
// discovery.Ejection(discovery.LeastLoaded()). A Picker is told of no connection, no response, and 502, 503 and 504 (*StatusError) as failures.
// An upgraded connection is over for it, and went well, once the instance has agreed: how long it is then used says nothing about the instance.
func WithPicker(f func(service string) func(*http.Request) discovery.Picker) Option {
	return func(o *options) { o.picker = f }
}

// WithRetries sets how many more instances get a request that failed; the default is 2.
func WithRetries(n int) Option { return func(o *options) { o.retries = n } }

// WithBudget bounds the retries of each service to a share of its requests and so many a second besides, over the last ten seconds or so;
// the default is 0.2 and 10.
func WithBudget(share, perSecond float64) Option {
	return func(o *options) { o.share, o.perSecond = share, perSecond }
}

// WithWatch hands these options to discovery.Watch for each service.
func WithWatch(opts ...discovery.Option) Option {
	return func(o *options) { o.watch = append(o.watch, opts...) }
}

// WithLastGood keeps the list of each service, and a Gateway's live routes, in files of this folder, so that a program can start while etcd is
// unreachable. The folder must exist, and must not be another program's too.
func WithLastGood(dir string) Option { return func(o *options) { o.lastGood = &dir } }

// WithView takes a view that is open already for a service. It stays open. With discovery.Fixed, tests need no etcd.
func WithView(service string, v *discovery.View) Option {
	return func(o *options) {
		if o.views == nil {
			o.views = make(map[string]*discovery.View)
		}
		o.views[service] = v
	}
}

// WithTrace sets functions that are called at what happens to requests.
func WithTrace(trace *Trace) Option {
	return func(o *options) {
		if o.trace = (Trace{}); trace != nil {
			o.trace = *trace
		}
	}
}

// WithHosts tells for which hosts of URLs (with the port, if there is one) a Transport asks which service, instead of those that are one word. It is for
// NewTransport.
func WithHosts(f func(host string) (service string, ok bool)) Option {
	return func(o *options) { o.hosts = f }
}

// WithLiveRoutes has the routes follow the value of that name of package config, for as long as something stands there. Whoever may write it decides
// where requests go. It is for StartGateway.
func WithLiveRoutes(name string) Option { return func(o *options) { o.live = &name } }

// WithTimeout sets how long an instance may take until its response begins, from when it was sent the request, or the last piece of its body;
// the default is 30 s. Retries share it. Routes can have their own. What comes after the response's header takes as long as it takes.
// It is for StartGateway.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = &d } }

// WithClientTimeout sets how long a client may take for the next piece of its request's body; the default is a minute. When the response has
// begun, what comes is a stream, and may pause. It takes the place of the server's ReadTimeout. It is for StartGateway.
func WithClientTimeout(d time.Duration) Option { return func(o *options) { o.clientTimeout = &d } }

// WithStallTimeout sets how long a client may take to accept a piece of the response, so that one that does not read holds on to no instance; the
// default is a minute, and 0 waits for ever. Pauses of the instance do not count. It takes the place of the server's WriteTimeout. It is for
// StartGateway.
func WithStallTimeout(d time.Duration) Option { return func(o *options) { o.stallTimeout = &d } }

// WithHealthEvery sets how long to wait between two rounds of asking all instances of a service for the path that Routes.Health has; the default is
// 5 s. Each instance has two seconds to answer. It is for StartGateway.
func WithHealthEvery(d time.Duration) Option { return func(o *options) { o.healthEvery = &d } }

// WithMaxBody refuses requests with more than so many bytes of body with 413; by default there is no limit. It is for StartGateway.
func WithMaxBody(bytes int64) Option { return func(o *options) { o.maxBody = &bytes } }

// WithTrustedProxies believes what requests from these addresses say in X-Forwarded-For, -Host, -Proto and the like, and adds to it;
// Forwarded is passed on as it comes. From all others, and by default, such headers are dropped, however they are spelled: all that begin with
// X-Forwarded, Forwarded, X-Real-Ip, True-Client-Ip, X-Client-Ip, X-Cluster-Client-Ip, Cf-Connecting-Ip, X-Original-Url and X-Rewrite-Url. It is for
// StartGateway.
func WithTrustedProxies(prefixes ...netip.Prefix) Option {
	return func(o *options) { o.trusted = append(o.trusted, prefixes...) }
}

func newOptions(opts []Option) options {
	o := options{
		retries: 2, share: 0.2, perSecond: 10, // as finagle's retry budget
		picker: func(string) func(*http.Request) discovery.Picker {
			p := discovery.Ejection(discovery.LeastLoaded())
			return func(*http.Request) discovery.Picker { return p }
		},
	}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

func (o *options) check() error {
	switch {
	case o.retries < 0:
		return errors.New("WithRetries: must not be below zero")
	case !(o.share >= 0 && o.perSecond >= 0): // written so that NaN is refused
		return errors.New("WithBudget: must not be below zero")
	case o.picker == nil:
		return errors.New("WithPicker: must not be nil")
	case o.lastGood != nil && *o.lastGood == "":
		return errors.New("WithLastGood: the folder is empty")
	}
	for service, v := range o.views {
		if v == nil {
			return fmt.Errorf("WithView: the view of %q is nil", service)
		}
	}
	return nil
}

func (o *options) checkTransport() error {
	if o.live != nil || o.timeout != nil || o.clientTimeout != nil || o.stallTimeout != nil || o.healthEvery != nil || o.maxBody != nil || o.trusted != nil {
		return errors.New("WithLiveRoutes, WithTimeout, WithClientTimeout, WithStallTimeout, WithHealthEvery, WithMaxBody and WithTrustedProxies " +
			"are for StartGateway")
	}
	return o.check()
}

func (o *options) checkGateway() error {
	switch {
	case o.hosts != nil:
		return errors.New("WithHosts is for NewTransport")
	case o.timeout != nil && *o.timeout <= 0:
		return errors.New("WithTimeout: must be above zero")
	case o.clientTimeout != nil && *o.clientTimeout <= 0:
		return errors.New("WithClientTimeout: must be above zero")
	case o.stallTimeout != nil && *o.stallTimeout < 0:
		return errors.New("WithStallTimeout: must not be below zero")
	case o.healthEvery != nil && *o.healthEvery < 10*time.Millisecond:
		return errors.New("WithHealthEvery: must be 10ms or more")
	case o.maxBody != nil && *o.maxBody < 0:
		return errors.New("WithMaxBody: must not be below zero")
	}
	return o.check()
}

// checkSources tells which service there is no list of without a session.
func (o *options) checkSources(s *session.Session, routes Routes) error {
	if s != nil {
		return nil
	}
	if o.live != nil {
		return errors.New("WithLiveRoutes: needs a session")
	}
	for _, route := range routes.Routes {
		if o.views[route.Service] == nil {
			return fmt.Errorf("service %q: %w", route.Service, errNoSession)
		}
	}
	return nil
}

func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// clientIdleTimeout is for how long idle connections to instances are kept: shorter than servers keep them, so that no request meets a close.
const clientIdleTimeout = 30 * time.Second

// newBase returns the transport for instances.
func newBase() *http.Transport {
	dialer := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second} // an instance is near, and there are others
	return &http.Transport{
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   512, // the usual two would have most requests of a busy gateway dial
		IdleConnTimeout:       clientIdleTimeout,
		ExpectContinueTimeout: time.Second,
	}
}
