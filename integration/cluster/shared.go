package cluster

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// shared is the cluster that quick tests share. Main sets it, once, before any test runs.
var shared *Cluster

// prefixes numbers the prefixes that were given out.
var prefixes atomic.Int64

// Main is the TestMain of a package: it starts the shared cluster, runs the tests and exits.
func Main(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "etcdkit-shared-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster: shared cluster:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if shared, err = start(dir, 1); err != nil {
		fmt.Fprintln(os.Stderr, "cluster: shared cluster:", err)
		return 1
	}
	defer shared.close()
	return m.Run()
}

// Shared returns a new client of the shared cluster, and closes it with the test. opts change its configuration. The tests that
// use it can run in parallel; each keeps to keys below its own Prefix, and none disturbs the others by compaction, for example.
func Shared(t testing.TB, opts ...func(*clientv3.Config)) *clientv3.Client {
	t.Helper()
	return newClient(t, SharedEndpoints(), opts...)
}

// SharedEndpoints returns the address of the shared cluster, without a proxy in front.
func SharedEndpoints() []string {
	if shared == nil {
		panic("cluster: there is no shared cluster: call cluster.Main in TestMain")
	}
	return []string{"http://" + shared.members[0].etcd.Clients[0].Addr().String()}
}

// Prefix returns a key prefix that no other test has, in this run or, with -count, the next.
func Prefix(t testing.TB) string {
	return fmt.Sprintf("t/%s/%d", strings.ReplaceAll(t.Name(), "/", "."), prefixes.Add(1))
}
