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
	"etcdkit/integration/cluster"
	"etcdkit/session"
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

// TestConfigPermissionsOfTheDocs: the roles for settings in docs/permissions.md are each enough for what they are for, and for no more.
func TestConfigPermissionsOfTheDocs(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	admin := c.Admin()
	read, write, both := clientv3.PermissionType(clientv3.PermRead), clientv3.PermissionType(clientv3.PermWrite), clientv3.PermissionType(clientv3.PermReadWrite)
	type grant struct {
		prefix string
		kind   clientv3.PermissionType
	}
	for user, grants := range map[string][]grant{
		"root":     nil,
		"api":      {{"etcdkit/config/app/", read}, {"etcdkit/configstatus/app/api/@/", write}, {"etcdkit/session/", both}},
		"follower": {{"etcdkit/config/app/", read}},
		"operator": {{"etcdkit/config/app/", both}, {"etcdkit/confighistory/app/", both}, {"etcdkit/configstatus/app/", read}},
	} {
		_, err := admin.UserAdd(t.Context(), user, "secret")
		_, roleErr := admin.RoleAdd(t.Context(), user)
		_, grantErr := admin.UserGrantRole(t.Context(), user, user)
		err = errors.Join(err, roleErr, grantErr)
		for _, g := range grants {
			_, grantErr := admin.RoleGrantPermission(t.Context(), user, g.prefix, clientv3.GetPrefixRangeEnd(g.prefix), g.kind)
			err = errors.Join(err, grantErr)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.AuthEnable(t.Context()); err != nil {
		t.Fatal(err)
	}
	as := func(user string) *session.Session {
		return open(t, c.Client(t, func(cfg *clientv3.Config) { cfg.Username, cfg.Password = user, "secret" }), "etcdkit")
	}
	api, follower, operator := as("api"), as("follower"), as("operator")
	st := config.NewStore(operator, "app/api")
	reported := mustWatch(t, api, "app/api", 0, config.WithReport())
	followed := mustWatch(t, follower, "app/api", 0, config.WithReport()) // which it may not, and goes without
	first := mustStore(t, st, 0, "1")
	mustStore(t, st, first, "2")
	if _, err := st.Rollback(soon(t), 1); err != nil {
		t.Error(err)
	}
	eventually(t, "both follow", func() bool { return reported.Get() == 1 && followed.Get() == 1 })
	eventually(t, "one report", func() bool {
		list, err := st.Status(soon(t))
		return err == nil && len(list) == 1 && list[0].Current
	})
	if list, err := config.List(soon(t), operator, "app"); err != nil || len(list) != 1 {
		t.Errorf("List = %v, %v", list, err)
	}
	if err := reported.Close(); err != nil {
		t.Error(err)
	}
	if list, err := st.Status(soon(t)); err != nil || len(list) != 0 {
		t.Errorf("after Close: %v, %v", list, err)
	}
	_, putErr := config.NewStore(api, "app/api").Put(soon(t), config.AnyRevision, []byte("3"))
	_, historyErr := config.NewStore(follower, "app/api").History(soon(t))
	_, otherErr := config.Watch(soon(t), operator, "other/api", 0)
	_, listErr := config.List(soon(t), operator, "")
	for what, err := range map[string]error{"Put": putErr, "History": historyErr, "Watch": otherErr, "List": listErr} {
		if !errors.Is(err, rpctypes.ErrPermissionDenied) {
			t.Errorf("%s without the right: %v", what, err)
		}
	}
}
