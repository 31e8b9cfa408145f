package session

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// ClientConfig returns a configuration for clientv3.New that suits the kit: a connection that no longer answers is noticed within
// thirteen seconds (etcd's client never notices, by default), on Linux within three where not even TCP is acknowledged, and a lost one is
// made again within two (gRPC alone waits up to two minutes). Change what you like, or use a client of your own. etcd's client writes
// its warnings to standard error, as JSON; Logger silences it.
func ClientConfig(endpoints ...string) clientv3.Config {
	return clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second, // gRPC takes no less
		DialKeepAliveTimeout: 3 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		})},
	}
}
