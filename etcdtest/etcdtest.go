// Package etcdtest gives a test an etcd of its own: a real server in the test's process, empty, up in a few tens of milliseconds and
// gone with the test.
//
//	func TestJobs(t *testing.T) {
//		t.Parallel()
//		client := etcdtest.New(t)
//		...
//	}
//
// Every call of New starts another server on a free port of 127.0.0.1, so parallel tests cannot disturb each other. A second client
// of the same server, to play another process, is clientv3.New(clientv3.Config{Endpoints: client.Endpoints()}): close it before the
// test ends.
//
// The server is one member that elects itself at once, and on which a lease can be as short as a second (an etcd with default
// settings makes it two). It does not flush to disk, and logs nothing.
package etcdtest

import (
	"errors"
	"net/url"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// patience bounds the start of a server: far more than it takes on a busy machine.
const patience = 30 * time.Second

// New starts an etcd and returns a client of it. Both end with the test. If the server does not start, the test fails.
func New(t testing.TB) *clientv3.Client {
	t.Helper()
	etcd, err := embed.StartEtcd(config(t.TempDir()))
	if err != nil {
		t.Fatalf("etcdtest: starting etcd: %v", err)
	}
	t.Cleanup(etcd.Close)
	if err := ready(etcd); err != nil {
		t.Fatalf("etcdtest: starting etcd: %v", err)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + etcd.Clients[0].Addr().String()},
		Logger:    zap.NewNop(), // else it warns of what tests do on purpose
	})
	if err != nil {
		t.Fatalf("etcdtest: connecting to etcd: %v", err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func config(dir string) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = dir
	free := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = free, free
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = free, free
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.TickMs, cfg.ElectionMs = 5, 25 // most of the start is waiting for the first election; shorter ticks cost an idle server more
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the least, so that tests with users are quick
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	return cfg
}

// ready waits until the server leads itself and knows its version: until then it refuses requests.
func ready(etcd *embed.Etcd) error {
	late := time.After(patience)
	select {
	case <-etcd.Server.ReadyNotify():
	case err := <-etcd.Err():
		return err
	case <-late:
		return errors.New("not ready within " + patience.String())
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for etcd.Server.ClusterVersion() == nil {
		select {
		case <-tick.C:
		case <-late:
			return errors.New("no cluster version within " + patience.String())
		}
	}
	return nil
}
