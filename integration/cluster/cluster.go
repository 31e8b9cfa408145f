package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"etcdkit/session"

	"etcdkit/integration/proxy"
)

// patience bounds whatever the harness waits for: far above what it takes on a busy machine, far below the timeout of a test.
const patience = 20 * time.Second

// clusters numbers the clusters of this process, so that each has an identity of its own.
var clusters atomic.Int64

// Cluster is an etcd cluster of a test's own, for breaking. Its methods are for the goroutine of the test alone.
type Cluster struct {
	members  []*member
	requests *requests
}

// New starts a cluster of so many members and ends it with the test. opts change the configuration of every member, each time
// that it starts. Tests with clusters of their own can run in parallel.
func New(t testing.TB, size int, opts ...func(*embed.Config)) *Cluster {
	t.Helper()
	c, err := start(t.TempDir(), size, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	c.WaitLeader(t)
	return c
}

// start starts a cluster whose data is below dir.
func start(dir string, size int, opts ...func(*embed.Config)) (*Cluster, error) {
	c := &Cluster{requests: &requests{counts: map[string]int{}}}
	token := fmt.Sprintf("cluster-%d", clusters.Add(1))
	var initial []string
	for i := range size {
		m := &member{name: fmt.Sprintf("m%d", i), token: token, opts: opts, requests: c.requests}
		m.dir = filepath.Join(dir, m.name)
		var errs [2]error
		m.clients, errs[0] = proxy.New()
		m.peers, errs[1] = proxy.New()
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
		c.members = append(c.members, m)
		initial = append(initial, m.name+"="+m.peers.URL())
	}
	for _, m := range c.members {
		m.initial = strings.Join(initial, ",")
	}
	if err := c.launch(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// launch starts all members at once, as each needs the others to be ready.
func (c *Cluster) launch() error {
	errs := make([]error, len(c.members))
	var wg sync.WaitGroup
	for i, m := range c.members {
		wg.Go(func() {
			if errs[i] = m.start(embed.ClusterStateFlagNew); errs[i] == nil {
				errs[i] = m.ready(patience)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) close() {
	var wg sync.WaitGroup
	for _, m := range c.members {
		wg.Go(m.close)
	}
	wg.Wait()
}

// Endpoints returns the addresses of all members. They stay the same when a member starts again.
func (c *Cluster) Endpoints() []string {
	var endpoints []string
	for _, m := range c.members {
		endpoints = append(endpoints, m.clients.URL())
	}
	return endpoints
}

// Client returns a new client of all members, configured as session.ClientConfig does, and closes it with the test. opts change
// its configuration: one member's endpoint alone, a user, the DialOption of a Faults.
func (c *Cluster) Client(t testing.TB, opts ...func(*clientv3.Config)) *clientv3.Client {
	t.Helper()
	return newClient(t, c.Endpoints(), opts...)
}

// newClient returns a client that is closed with the test.
func newClient(t testing.TB, endpoints []string, opts ...func(*clientv3.Config)) *clientv3.Client {
	t.Helper()
	cfg := session.ClientConfig(endpoints...)
	cfg.Logger = zap.NewNop() // else it warns of every failed try
	for _, opt := range opts {
		opt(&cfg)
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		t.Fatalf("cluster: client of %v: %v", endpoints, err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// Admin returns a client that calls a running member in this process without any connection: it sees, writes and compacts while
// all connections are cut. It has no user, so it is refused once authentication is on, and it is not for watching. It is good
// until that member stops.
func (c *Cluster) Admin() *clientv3.Client {
	for _, m := range c.members {
		if m.admin != nil {
			return m.admin
		}
	}
	panic("cluster: every member is stopped")
}

// Requests returns how many unary requests with this method ("Txn", "Range", "DeleteRange"; all of them if it is empty) have
// reached the members so far. Requests of Admin and streams (watches, renewals) are not counted.
func (c *Cluster) Requests(method string) int { return c.requests.of(method) }

// WaitLeader waits until all running members agree on a leader that answers, and returns its index.
func (c *Cluster) WaitLeader(t testing.TB) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if i, ok := c.leader(); ok {
			// The first linearizable read tells that it has committed an entry of its term.
			if _, err := c.members[i].admin.Get(ctx, "0"); err == nil || !retryable(err) {
				return i
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("cluster: no leader within %v", patience)
		}
	}
}

// retryable reports that the leader could not answer; once authentication is on, Admin's refusal is an answer too.
func retryable(err error) bool { return !strings.Contains(err.Error(), "user name is empty") }

// leader returns the index of the member on which all running members agree.
func (c *Cluster) leader() (int, bool) {
	var lead uint64
	for _, m := range c.members {
		if m.etcd == nil {
			continue
		}
		said := m.etcd.Server.Lead()
		if said == 0 || lead != 0 && lead != said {
			return 0, false
		}
		lead = said
	}
	for i, m := range c.members {
		if m.etcd != nil && uint64(m.etcd.Server.MemberID()) == lead {
			return i, true
		}
	}
	return 0, false
}
