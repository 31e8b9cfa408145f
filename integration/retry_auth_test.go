package integration

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"etcdkit/integration/cluster"
	"etcdkit/internal/retry"
)

// guarded starts a cluster with authentication, a root, and a user "u" who may write below "mine/". It returns clients of both.
func guarded(t *testing.T, opts ...func(*embed.Config)) (c *cluster.Cluster, root, user *clientv3.Client) {
	t.Helper()
	c = cluster.New(t, 1, opts...)
	setup, ctx := c.Client(t), within(t, 10*time.Second)
	steps := []func() error{
		func() error { _, err := setup.UserAdd(ctx, "root", "r"); return err },
		func() error { _, err := setup.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := setup.UserAdd(ctx, "u", "p"); return err },
		func() error { _, err := setup.RoleAdd(ctx, "role"); return err },
		func() error {
			_, err := setup.RoleGrantPermission(ctx, "role", "mine/", "mine0", clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := setup.UserGrantRole(ctx, "u", "role"); return err },
		func() error { _, err := setup.AuthEnable(ctx); return err },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("setting up authentication, step %d: %v", i, err)
		}
	}
	return c, as(t, c, "root", "r"), as(t, c, "u", "p")
}

// as returns a client with a user's name and password.
func as(t *testing.T, c *cluster.Cluster, name, password string) *clientv3.Client {
	t.Helper()
	return c.Client(t, func(cfg *clientv3.Config) { cfg.Username, cfg.Password = name, password })
}

func TestRetryClassOfAuthentication(t *testing.T) {
	t.Parallel()
	c, root, user := guarded(t)
	put(t, user, "mine/a", "1")

	_, err := user.Put(t.Context(), "theirs", "1")
	classed(t, err, retry.Never, "permission denied")
	_, err = user.Txn(t.Context()).Then(clientv3.OpPut("mine/b", "1"), clientv3.OpPut("theirs", "1")).Commit()
	classed(t, err, retry.Never, "permission denied")
	classed(t, watchError(t, user, "theirs"), retry.Never, "permission denied")
	left(t, root, "theirs", "")
	left(t, root, "mine/b", "")

	_, err = clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), Username: "u", Password: "wrong", Logger: zap.NewNop()})
	classed(t, err, retry.Never, "authentication failed")
	_, err = c.Client(t).Put(t.Context(), "mine/c", "1")
	classed(t, err, retry.Never, "user name is empty")

	stale := c.Client(t, func(cfg *clientv3.Config) { cfg.Token = "made.up" })
	_, err = stale.Put(t.Context(), "mine/c", "1")
	classed(t, err, retry.DidNot, "invalid auth token")
	classed(t, watchError(t, stale, "mine/c"), retry.DidNot, "invalid auth token")
	left(t, root, "mine/c", "")
}

// A token that carries the revision of the rights, as a JWT does, is refused when they have changed since.
func TestRetryClassOfAnOldAuthRevision(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of this test"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, root, _ := guarded(t, func(cfg *embed.Config) {
		cfg.AuthToken = "jwt,sign-method=HS256,ttl=5m,priv-key=" + secret
	})
	login, err := root.Authenticate(t.Context(), "u", "p")
	if err != nil {
		t.Fatal(err)
	}
	user := c.Client(t, func(cfg *clientv3.Config) { cfg.Token = login.Token })
	put(t, user, "mine/a", "1")
	if _, err := root.RoleAdd(t.Context(), "another"); err != nil {
		t.Fatal(err)
	}
	_, err = user.Put(t.Context(), "mine/a", "2")
	classed(t, err, retry.DidNot, "revision of auth store is old")
	left(t, root, "mine/a", "1")
}
