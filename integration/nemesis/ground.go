// Package nemesis breaks etcd and its clients in every way that is known, while a crew of workers is at work, and returns what happened. A fault
// is one entry of Faults.
package nemesis

import (
	"context"
	"errors"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"etcdkit/integration/process"
	"etcdkit/integration/proxy"
	"etcdkit/session"
)

// Ground is what crews work on: members of etcd that are processes of their own, with a proxy before each.
type Ground struct {
	etcd    *process.Cluster
	proxies []*proxy.Proxy
	sight   *clientv3.Client // beside the proxies, with all rights
	user    string           // of the crews, which is its password too; empty where etcd asks for none
}

// crews is the prefix of all that crews write.
const crews = "crew/"

// Lay starts a ground of so many members. On a guarded one everybody needs a user, and the crew's may do what its role may.
func Lay(size int, guarded bool) (*Ground, error) {
	etcd, err := process.Start(size, "--bcrypt-cost", "4") // every connection with a password pays it
	if err != nil {
		return nil, err
	}
	g := &Ground{etcd: etcd}
	if err := g.build(guarded); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *Ground) build(guarded bool) error {
	for _, endpoint := range g.etcd.Endpoints() {
		p, err := proxy.New()
		if err != nil {
			return err
		}
		p.Open(strings.TrimPrefix(endpoint, "http://"))
		g.proxies = append(g.proxies, p)
	}
	var err error
	if guarded {
		if err = g.guard(); err != nil {
			return err
		}
	}
	g.sight, err = g.client(g.etcd.Endpoints(), "root")
	return err
}

// guard makes root and the crew's user, and turns authentication on.
func (g *Ground) guard() error {
	client, err := g.etcd.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, user := range []string{"root", "crew"} {
		_, added := client.UserAdd(ctx, user, user)
		_, made := client.RoleAdd(ctx, user)
		_, granted := client.UserGrantRole(ctx, user, user)
		err = errors.Join(err, added, made, granted)
	}
	if err = errors.Join(err, allow(ctx, client)); err != nil {
		return err
	}
	g.user = "crew"
	_, err = client.AuthEnable(ctx)
	return err
}

// allow gives the crew's role its rights; forbid takes them away.
func allow(ctx context.Context, client *clientv3.Client) error {
	_, err := client.RoleGrantPermission(ctx, "crew", crews, clientv3.GetPrefixRangeEnd(crews), clientv3.PermissionType(clientv3.PermReadWrite))
	return err
}

func forbid(ctx context.Context, client *clientv3.Client) error {
	_, err := client.RoleRevokePermission(ctx, "crew", crews, clientv3.GetPrefixRangeEnd(crews))
	return err
}

// client returns a client that is back soon after an outage. The user counts on a guarded ground only.
func (g *Ground) client(endpoints []string, user string) (*clientv3.Client, error) {
	cfg := session.ClientConfig(endpoints...)
	cfg.Logger = zap.NewNop()
	if g.user != "" {
		cfg.Username, cfg.Password = user, user
	}
	return clientv3.New(cfg)
}

// Close ends everything.
func (g *Ground) Close() {
	if g.sight != nil {
		_ = g.sight.Close()
	}
	for _, p := range g.proxies {
		p.Close()
	}
	g.etcd.Close()
}

// endpoints are the addresses of the proxies.
func (g *Ground) endpoints() []string {
	var all []string
	for _, p := range g.proxies {
		all = append(all, p.URL())
	}
	return all
}

// A Field has the grounds that faults need, each laid when it is first needed. It is not safe for concurrent use.
type Field struct {
	plain, guarded *Ground
}

// For returns the ground for a fault.
func (f *Field) For(fault Fault) (*Ground, error) {
	at, size := &f.plain, 3
	if fault.Guarded {
		at, size = &f.guarded, 1
	}
	var err error
	if *at == nil {
		*at, err = Lay(size, fault.Guarded)
	}
	return *at, err
}

// Close ends all grounds. The next fault gets a new one.
func (f *Field) Close() {
	for _, g := range []*Ground{f.plain, f.guarded} {
		if g != nil {
			g.Close()
		}
	}
	f.plain, f.guarded = nil, nil
}
