package cluster

import (
	"fmt"
	"net/url"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"etcdkit/integration/proxy"
)

// member is one etcd in this process.
type member struct {
	name     string
	dir      string
	token    string // of the cluster; members of two clusters refuse each other
	initial  string // "m0=http://...,m1=http://..."
	opts     []func(*embed.Config)
	requests *requests

	clients, peers *proxy.Proxy

	etcd  *embed.Etcd      // nil while it is down
	admin *clientv3.Client // calls the server without a connection; nil while it is down
}

// config returns the configuration of a member that is quick to start, to elect and to expire leases.
func (m *member) config(state string) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = m.name
	cfg.Dir = m.dir
	cfg.InitialClusterToken = m.token
	cfg.InitialCluster = m.initial
	cfg.ClusterState = state
	free := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls, cfg.ListenPeerUrls = []url.URL{free}, []url.URL{free}
	cfg.AdvertiseClientUrls, cfg.AdvertisePeerUrls = []url.URL{mustParse(m.clients.URL())}, []url.URL{mustParse(m.peers.URL())}
	cfg.TickMs, cfg.ElectionMs = 10, 100 // so that a lease can be as short as a second
	cfg.UnsafeNoFsync = true             // nothing here survives the process anyway
	cfg.BcryptCost = 4                   // the least: every connection with a password pays it
	cfg.EnableGRPCGateway = false
	cfg.GRPCKeepAliveMinTime = 50 * time.Millisecond // so that tests can ping more often than every 5 s
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ChainUnaryInterceptor(m.requests.count)}
	for _, opt := range m.opts {
		opt(cfg)
	}
	return cfg
}

// mustParse parses what a proxy of ours says.
func mustParse(s string) url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return *u
}

// start starts the member, for the first time or again, and returns before it is ready.
func (m *member) start(state string) error {
	etcd, err := embed.StartEtcd(m.config(state))
	if err != nil {
		return fmt.Errorf("cluster: starting member %s: %w", m.name, err)
	}
	m.etcd, m.admin = etcd, v3client.New(etcd.Server)
	m.peers.Open(etcd.Peers[0].Addr().String())
	m.clients.Open(etcd.Clients[0].Addr().String())
	return nil
}

// ready waits until the member has joined and knows the version of the cluster: until then it refuses requests as "not capable".
func (m *member) ready(within time.Duration) error {
	late := time.After(within)
	select {
	case <-m.etcd.Server.ReadyNotify():
	case err := <-m.etcd.Err():
		return fmt.Errorf("cluster: member %s: %w", m.name, err)
	case <-late:
		return fmt.Errorf("cluster: member %s was not ready within %v", m.name, within)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for m.etcd.Server.ClusterVersion() == nil {
		select {
		case <-tick.C:
		case <-late:
			return fmt.Errorf("cluster: member %s did not learn the cluster's version within %v", m.name, within)
		}
	}
	return nil
}

// stop stops the member as a crash would: no leadership is handed over, no connection ends gracefully. Its data stays.
func (m *member) stop() {
	if m.etcd == nil {
		return
	}
	m.clients.Shut() // first, or the server would wait for open watches to end
	m.peers.Shut()
	m.admin.Close()
	m.etcd.Server.HardStop()
	m.etcd.Close()
	m.etcd, m.admin = nil, nil
}

// close stops the member for good.
func (m *member) close() {
	m.stop()
	m.clients.Close()
	m.peers.Close()
}
