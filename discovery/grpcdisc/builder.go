package grpcdisc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"

	"etcdkit/discovery"
	"etcdkit/internal/lastgood"
	"etcdkit/session"
)

// Scheme is that of the targets that a Builder resolves.
const Scheme = "etcdkit"

// Option changes a default of NewBuilder.
type Option func(*options)

type options struct {
	lastGood  *string
	port      *string
	endpoints bool
}

// WithLastGood keeps the lists in a directory, which is made if it is not there, in one file for each service, so that a program can start while
// etcd is unreachable. Two programs need two directories.
func WithLastGood(dir string) Option { return func(o *options) { o.lastGood = &dir } }

// WithPort connects to the port of this name (Instance.Ports) instead of the main one; who has none of that name is left out.
func WithPort(name string) Option { return func(o *options) { o.port = &name } }

// WithEndpoints reads the records of etcd's own client/v3/naming/endpoints instead of the kit's, at the keys below the service's name and a slash.
func WithEndpoints() Option { return func(o *options) { o.endpoints = true } }

// Builder resolves etcdkit:///service for connections that are given it by grpc.WithResolvers or DialOptions. It has nothing to close: what it
// follows, it follows as long as a connection needs it.
type Builder struct {
	session *session.Session
	options options

	mu       sync.Mutex // protects what follows
	services map[string]*service
	last     map[string]*discovery.Snapshot // of services that nobody follows at the moment
}

// maxLast bounds how many lists are remembered without being followed.
const maxLast = 256

// NewBuilder returns a Builder that finds services by a session. An option that cannot be used is the error of the connections.
func NewBuilder(s *session.Session, opts ...Option) *Builder {
	b := &Builder{session: s, services: make(map[string]*service), last: make(map[string]*discovery.Snapshot)}
	for _, opt := range opts {
		opt(&b.options)
	}
	return b
}

// DialOptions returns what suits connections to etcdkit:///service: this resolver; round_robin, which a later grpc.WithDefaultServiceConfig
// replaces, in place of pick_first, which sends all requests to one instance; and a dialer that tells the list of connections that failed, so that
// an instance on probation (discovery.Snapshot) is dropped at once when it is found dead. With a dialer, gRPC makes no use of a proxy (HTTPS_PROXY); who needs
// one takes grpc.WithResolvers(b) alone.
func (b *Builder) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithResolvers(b),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithContextDialer(b.dial),
	}
}

// Scheme returns the scheme of the targets.
func (b *Builder) Scheme() string { return Scheme }

// Build is called by gRPC, whenever a connection begins, and when it is used again after a time without requests.
func (b *Builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	name := target.Endpoint()
	switch {
	case target.URL.Host != "":
		return nil, fmt.Errorf("grpcdisc: target %q: there must be three slashes: %s:///%s", target.URL.String(), Scheme, target.URL.Host+target.URL.Path)
	case name == "":
		return nil, fmt.Errorf("grpcdisc: target %q: names no service", target.URL.String())
	}
	if err := b.options.check(); err != nil {
		return nil, fmt.Errorf("grpcdisc: %w", err)
	}
	if dir := b.options.lastGood; dir != nil {
		if err := os.MkdirAll(*dir, 0o700); err != nil {
			return nil, fmt.Errorf("grpcdisc: WithLastGood: %w", err)
		}
	}
	r := &connection{cc: cc, port: b.options.port, news: make(chan struct{}, 1), release: b.release}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.service = b.services[name]
	if r.service == nil {
		r.service = newService(b.session, name, b.last[name], b.watchOptions(name))
		b.services[name] = r.service
		delete(b.last, name)
	}
	r.service.users++
	r.start()
	return r, nil
}

func (o *options) check() error {
	switch {
	case o.lastGood != nil && *o.lastGood == "":
		return errors.New("WithLastGood: the directory is empty")
	case o.port != nil && *o.port == "":
		return errors.New("WithPort: the name is empty")
	case o.port != nil && o.endpoints:
		return errors.New("WithPort: the records of WithEndpoints have one port")
	}
	return nil
}

func (b *Builder) watchOptions(name string) []discovery.Option {
	var opts []discovery.Option
	if b.options.lastGood != nil {
		opts = append(opts, discovery.WithLastGood(filepath.Join(*b.options.lastGood, lastgood.Name(name))))
	}
	if b.options.endpoints {
		opts = append(opts, discovery.WithEndpoints(name))
	}
	return opts
}

// release is called once by each connection. The last one to need a service ends it, and its list is remembered, for a connection that comes
// back when etcd is down.
func (b *Builder) release(sv *service) {
	b.mu.Lock()
	sv.users--
	unused := sv.users == 0
	if unused {
		delete(b.services, sv.name)
		if snap := cmp.Or(sv.news().snapshot, sv.last); snap != nil {
			if len(b.last) >= maxLast {
				for other := range b.last { // any of them
					delete(b.last, other)
					break
				}
			}
			b.last[sv.name] = snap
		}
	}
	b.mu.Unlock()
	if unused {
		sv.close()
	}
}

// dial connects as gRPC would, and tells the lists where that failed.
func (b *Builder) dial(ctx context.Context, addr string) (net.Conn, error) {
	if reason, ok := strings.CutPrefix(addr, nowhere); ok {
		if text, err := url.PathUnescape(reason); err == nil {
			reason = text
		}
		return nil, errors.New(reason)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil && !errors.Is(context.Cause(ctx), context.Canceled) { // whose caller went away, it says nothing about the instance
		b.report(addr, err)
	}
	return conn, err
}

func (b *Builder) report(addr string, err error) {
	b.mu.Lock()
	services := make([]*service, 0, len(b.services))
	for _, sv := range b.services {
		services = append(services, sv)
	}
	b.mu.Unlock()
	for _, sv := range services {
		view, snap := sv.view.Load(), sv.news().snapshot
		if view == nil || snap == nil || len(snap.Probation) == 0 {
			continue // a connection that fails means nothing else to a list
		}
		for i := range snap.Instances {
			if at, ok := addrOf(&snap.Instances[i], b.options.port); ok && at == addr {
				view.Report(snap.Instances[i], err)
			}
		}
	}
}
