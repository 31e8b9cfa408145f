package integration

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"etcdkit/config"
)

// TestConfigOutlivesItsToken: the client's token expires under the watch, and before it is opened again (F13).
func TestConfigOutlivesItsToken(t *testing.T) {
	t.Parallel()
	c, root, user := guarded(t, func(cfg *embed.Config) { cfg.AuthTokenTTL = 1 })
	v := mustWatch(t, open(t, user, "mine"), "app", 0)
	for round := 1; round <= 4; round += 2 {
		expire(t, user)
		mustPut(t, root, "mine/config/app", fmt.Sprint(round))
		eventually(t, "a change on the watch that was open", func() bool { return v.Get() == round })
		c.Cut()
		awaitStale(t, v, true)
		c.Heal()
		put(t, root, "mine/config/app", fmt.Sprint(round+1))
		eventually(t, "a change on a new watch", func() bool { return v.Get() == round+1 })
	}
	awaitStale(t, v, false)
}

// TestConfigWithoutRights: what was read stays, and whoever waits for changes is told (F14). That the rights are asked for every 30 s
// is tested with the mirror; here the connection breaks, which has them asked for at once.
func TestConfigWithoutRights(t *testing.T) {
	t.Parallel()
	c, root, user := guarded(t)
	path := filepath.Join(t.TempDir(), "last")
	mustPut(t, root, "mine/config/app", "1")
	s := open(t, user, "mine")
	v := mustWatch(t, s, "app", 0, config.WithLastGood(path))
	at := stepsOf(t, v)
	at.next()
	rights := func(granted bool) {
		t.Helper()
		var err error
		if granted {
			_, err = root.RoleGrantPermission(soon(t), "role", "mine/", "mine0", clientv3.PermissionType(clientv3.PermReadWrite))
		} else {
			_, err = root.RoleRevokePermission(soon(t), "role", "mine/", "mine0")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rights(false)
	c.Cut()
	c.Heal()
	if err := at.end(); !errors.Is(err, rpctypes.ErrPermissionDenied) || !strings.Contains(err.Error(), `"mine/config/"`) {
		t.Errorf("changes ended with %v", err)
	}
	put(t, root, "mine/config/app", "2")
	if snap := v.Snapshot(); snap.Value != 1 || !errors.Is(snap.Err, rpctypes.ErrPermissionDenied) || snap.Stale == 0 {
		t.Errorf("without rights: %+v", snap)
	}
	if _, err := config.Watch(soon(t), s, "app", 0); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("Watch = %v", err)
	}
	if _, _, err := config.NewStore(s, "app").Get(soon(t)); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("Get = %v", err)
	}
	booted := mustWatch(t, s, "app", 0, config.WithLastGood(path))
	if snap := booted.Snapshot(); snap.Value != 1 || !errors.Is(snap.Err, rpctypes.ErrPermissionDenied) || snap.Stale == 0 {
		t.Errorf("started without rights: %+v", snap)
	}
	rights(true)
	if v := mustWatch(t, s, "app", 0); v.Get() != 2 {
		t.Errorf("with the rights back: %+v", v.Snapshot())
	}
}

// TestConfigNeedsNoMoreThanItsKey: with WithKey, the right to read that key is enough.
func TestConfigNeedsNoMoreThanItsKey(t *testing.T) {
	t.Parallel()
	_, root, user := guarded(t)
	_, err := root.RoleGrantPermission(soon(t), "role", "legacy/app", "", clientv3.PermissionType(clientv3.PermRead))
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, root, "legacy/app", "1")
	v := mustWatch(t, open(t, user, "mine"), "app", 0, config.WithKey("legacy/app"))
	mustPut(t, root, "legacy/app2", "2")
	mustPut(t, root, "legacy/app", "3")
	eventually(t, "a change", func() bool { return v.Get() == 3 })
	awaitStale(t, v, false)
}
