package main

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

func TestWrongEndpoint(t *testing.T) {
	t.Parallel()
	complaint{"none", []string{"kv", "get", "a"}, statusUsage, []string{"no endpoint", "--endpoints"}}.check(t, "")
	for _, c := range []complaint{
		{"get", []string{"kv", "get", "a"}, statusFailed, nil},
		{"watch", []string{"kv", "watch", "a"}, statusFailed, nil},
		{"with user", []string{"--user", "ann:secret", "kv", "get", "a"}, statusFailed, nil},
		{"lock", []string{"lock", "a", "--", "echo"}, statusOwn, nil},
		{"list", []string{"lock", "ls"}, statusFailed, nil},
		{"elect", []string{"elect", "a", "--", "echo"}, statusOwn, nil},
		{"resign", []string{"elect", "resign", "a"}, statusFailed, nil},
		{"services", []string{"services"}, statusFailed, nil},
		{"register", []string{"register", "a", "--addr", "a:1", "--", "echo"}, statusOwn, nil},
		{"gateway", []string{"gateway", "--listen", "127.0.0.1:0"}, statusFailed, nil},
	} {
		c.says = []string{"etcd at 127.0.0.1:1: ", "connection refused"}
		c.check(t, "127.0.0.1:1")
	}
	complaint{"no TLS", []string{"kv", "get", "a"}, statusFailed, []string{"handshake failed"}}.check(t, "https://"+shared.endpoint)
}

func TestWrongPasswordAndNoPermission(t *testing.T) {
	t.Parallel()
	s, root := ownEtcd(t, nil)
	ctx := t.Context()
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(root.UserAdd(ctx, "root", "rootpw"))
	do(root.UserGrantRole(ctx, "root", "root"))
	do(root.UserAdd(ctx, "ann", "annpw"))
	do(root.RoleAdd(ctx, "mine"))
	do(root.RoleGrantPermission(ctx, "mine", "mine/", clientv3.GetPrefixRangeEnd("mine/"), clientv3.PermissionType(clientv3.PermReadWrite)))
	do(root.UserGrantRole(ctx, "ann", "mine"))
	do(root.AuthEnable(ctx))

	for _, c := range []complaint{
		{"wrong password", []string{"--user", "ann:wrong", "kv", "get", "a"}, statusFailed, []string{`user "ann"`, "authentication failed"}},
		{"wrong password to lock", []string{"--user", "ann:wrong", "lock", "a", "--", "echo"}, statusOwn, []string{`user "ann"`, "authentication failed"}},
		{"no user", []string{"kv", "get", "a"}, statusFailed, []string{`get "a"`, "user name is empty"}},
		{"get", []string{"--user", "ann:annpw", "kv", "get", "a"}, statusFailed, []string{`get "a"`, "permission denied"}},
		{"put", []string{"--user", "ann:annpw", "kv", "put", "a", "1"}, statusFailed, []string{`put "a"`, "permission denied"}},
		{"del", []string{"--user", "ann:annpw", "kv", "del", "a"}, statusFailed, []string{`del "a"`, "permission denied"}},
		{"watch", []string{"--user", "ann:annpw", "kv", "watch", "a"}, statusFailed, []string{`watch "a"`, "permission denied"}},
		{"lock", []string{"--user", "ann:annpw", "lock", "a", "--", "echo"}, statusOwn, []string{`lock "a"`, "permission denied"}},
		{"owners", []string{"--user", "ann:annpw", "lock", "owners", "a"}, statusFailed, []string{`lock "a"`, "permission denied"}},
		{"list", []string{"--user", "ann:annpw", "lock", "ls"}, statusFailed, []string{"lock", "permission denied"}},
		{"elect", []string{"--user", "ann:annpw", "elect", "a", "--", "echo"}, statusOwn, []string{`election "a"`, "permission denied"}},
		{"candidates", []string{"--user", "ann:annpw", "elect", "candidates", "a"}, statusFailed, []string{`election "a"`, "permission denied"}},
		{"watch an election", []string{"--user", "ann:annpw", "elect", "watch", "a"}, statusFailed, []string{`election "a"`, "permission denied"}},
		{"elections", []string{"--user", "ann:annpw", "elect", "ls"}, statusFailed, []string{"election", "permission denied"}},
		{"config get", []string{"--user", "ann:annpw", "config", "get", "a"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"config put", []string{"--user", "ann:annpw", "config", "put", "a", "--value", "1"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"config edit", []string{"--user", "ann:annpw", "config", "edit", "a"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"config del", []string{"--user", "ann:annpw", "config", "del", "a"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"config ls", []string{"--user", "ann:annpw", "config", "ls"}, statusFailed, []string{"config", "permission denied"}},
		{"config history", []string{"--user", "ann:annpw", "config", "history", "a"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"config rollback", []string{"--user", "ann:annpw", "config", "rollback", "a", "1"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"config status", []string{"--user", "ann:annpw", "config", "status", "a"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"config watch", []string{"--user", "ann:annpw", "config", "watch", "a"}, statusFailed, []string{`config "a"`, "permission denied"}},
		{"services", []string{"--user", "ann:annpw", "services"}, statusFailed, []string{"discovery: services", "permission denied"}},
		{"instances", []string{"--user", "ann:annpw", "services", "ls", "a"}, statusFailed, []string{`discovery "a"`, "permission denied"}},
		{"watch a service", []string{"--user", "ann:annpw", "services", "watch", "a"}, statusFailed, []string{`discovery "a"`, "permission denied"}},
		{"drain", []string{"--user", "ann:annpw", "services", "drain", "a", "b"}, statusFailed, []string{`discovery "a"`, "permission denied"}},
		{"register", []string{"--user", "ann:annpw", "register", "a", "--addr", "a:1", "--", "echo"}, statusOwn, []string{`discovery "a"`, "permission denied"}},
		{"gateway", []string{"--user", "ann:annpw", "gateway", "--listen", "127.0.0.1:0"}, statusFailed, []string{`config "gateway"`, "permission denied"}},
		{"transfer", []string{"--user", "ann:annpw", "elect", "transfer", "a", "b"}, statusFailed, []string{`election "a"`, "permission denied"}},
	} {
		c.check(t, s.endpoint())
	}
	args := []string{"--endpoints", s.endpoint(), "--user", "ann", "--password", "annpw", "lock", "--prefix", "mine", "a", "--", "echo", "ran"}
	if got := succeed(t, args...); got != "ran\n" {
		t.Errorf("with the right: %q", got)
	}
	admin, err := clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint()}, Username: "root", Password: "rootpw"})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	nothingIn(t, admin)
}

func TestNoSpace(t *testing.T) {
	t.Parallel()
	s, client := ownEtcd(t, nil)
	alarm := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE}
	if _, err := pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	for _, c := range []complaint{
		{"put", []string{"kv", "put", "a", "1"}, statusFailed, []string{`put "a"`, "database space exceeded"}},
		{"lock", []string{"lock", "a", "--", "echo"}, statusOwn, []string{`lock "a"`, "database space exceeded"}},
		{"try", []string{"lock", "a", "--try", "--", "echo"}, statusOwn, []string{`lock "a"`, "database space exceeded"}},
		{"elect", []string{"elect", "a", "--", "echo"}, statusOwn, []string{`election "a"`, "database space exceeded"}},
		{"config", []string{"config", "put", "a", "--value", "1"}, statusFailed, []string{`config "a"`, "database space exceeded"}},
		{"register", []string{"register", "a", "--addr", "a:1", "--", "echo"}, statusOwn, []string{`discovery "a"`, "database space exceeded"}},
	} {
		c.check(t, s.endpoint())
	}
	nothingIn(t, client)
}

// nothingIn checks that no key and no lease was left behind.
func nothingIn(t *testing.T, client *clientv3.Client) {
	t.Helper()
	if keys := keysOf(t, client, ""); len(keys) != 0 {
		t.Errorf("keys left behind: %q", keys)
	}
	leases, err := client.Leases(context.Background())
	if err != nil || len(leases.Leases) != 0 {
		t.Errorf("leases left behind: %v, %v", leases, err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s, _ := ownEtcd(t, func(cfg *embed.Config) {
		cfg.ListenClientUrls[0].Scheme, cfg.AdvertiseClientUrls[0].Scheme = "https", "https"
		cfg.ClientAutoTLS = true
		cfg.ClientTLSInfo.MinVersion = tls.VersionTLS13
	})
	ca := filepath.Join(s.etcd.Config().Dir, "fixtures", "client", "cert.pem")
	for _, endpoint := range []string{s.endpoint(), "https://" + s.endpoint()} {
		succeed(t, "--endpoints", endpoint, "--insecure-skip-tls-verify", "kv", "put", "a", "1")
		succeed(t, "--endpoints", endpoint, "--cacert", ca, "lock", "a", "--", "true")
	}
	complaint{"unknown CA", []string{"kv", "get", "a"}, statusFailed, []string{"certificate"}}.check(t, "https://"+s.endpoint())
	complaint{"plain", []string{"kv", "get", "a"}, statusFailed, []string{"etcd at " + s.endpoint()}}.check(t, s.endpoint())
}
