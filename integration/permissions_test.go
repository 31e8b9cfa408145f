package integration

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// The roles of docs/permissions.md, on a cluster with authentication: each is enough for what it is for, and for no more.
func TestPermissionsOfTheDocs(t *testing.T) {
	c := cluster.New(t, 1)
	admin := c.Admin()
	read, write := clientv3.PermissionType(clientv3.PermRead), clientv3.PermissionType(clientv3.PermReadWrite)
	type grant struct {
		prefix string
		kind   clientv3.PermissionType
	}
	for user, grants := range map[string][]grant{
		"root":   nil,
		"whole":  {{"etcdkit/", write}},
		"narrow": {{"etcdkit/session/", write}, {"etcdkit/lock/reports/nightly/@/", write}},
		"looker": {{"etcdkit/session/", read}, {"etcdkit/lock/", read}},
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
		client := c.Client(t, func(cfg *clientv3.Config) { cfg.Username, cfg.Password = user, "secret" })
		return open(t, client, "etcdkit")
	}
	whole, narrow, looker := as("whole"), as("narrow"), as("looker")

	held := mustLock(t, lock.NewMutex(narrow, "reports/nightly"))
	waiting := make(chan *lock.Hold)
	go func() {
		defer close(waiting)
		h, err := lock.NewMutex(whole, "reports/nightly").Lock(soon(t))
		if err != nil {
			t.Error(err)
			return
		}
		waiting <- h
	}()
	for ctx := soon(t); ; {
		owners, err := lock.Owners(ctx, looker, "reports/nightly")
		if err != nil {
			t.Fatal(err)
		}
		if len(owners) == 2 && owners[0].Host != "" {
			break
		}
	}
	if list, err := lock.List(soon(t), looker); err != nil || len(list) != 1 || list[0].Name != "reports/nightly" {
		t.Errorf("List = %v, %v", list, err)
	}
	mustUnlock(t, held)
	if h := <-waiting; h != nil {
		mustUnlock(t, h)
	}

	denied := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, rpctypes.ErrPermissionDenied) {
			t.Errorf("%s: %v, want permission denied", what, err)
		}
	}
	_, err := lock.NewMutex(narrow, "reports").Lock(soon(t))
	denied("another lock", err)
	_, err = lock.NewMutex(whole, "x", lock.WithKey("/legacy/x")).Lock(soon(t))
	denied("a key outside the prefix", err)
	_, err = lock.NewMutex(looker, "reports/nightly").Lock(soon(t))
	denied("a lock for who may only look", err)
	_, err = lock.List(soon(t), narrow)
	denied("the list of all locks", err)
	if err := narrow.Close(soon(t)); err != nil {
		t.Errorf("Close: %v", err)
	}
}
