package integration

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"etcdkit/config"
	"etcdkit/integration/cluster"
)

func mustStoreAll(t testing.TB, st *config.Store, rev int64, lines ...string) int64 {
	t.Helper()
	rev, err := st.PutAll(soon(t), rev, byPath(lines...))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// byPath makes values of "path=value"; without a value it is deleted.
func byPath(lines ...string) map[string][]byte {
	values := map[string][]byte{}
	for _, line := range lines {
		path, value, ok := strings.Cut(line, "=")
		values[path] = nil
		if ok {
			values[path] = []byte(value)
		}
	}
	return values
}

func conflictOf(t testing.TB, err error) *config.ConflictError {
	t.Helper()
	var conflict *config.ConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, config.ErrConflict) {
		t.Fatalf("%v, want a conflict", err)
	}
	return conflict
}

// TestConfigTreeConflicts: each kind of change since the revision of a write is noticed, and named.
func TestConfigTreeConflicts(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	st, below := config.NewStore(open(t, client, prefix), "app", config.WithTree()), prefix+"/config/app/"
	put := func(rev int64, lines ...string) (*config.ConflictError, string) {
		t.Helper()
		_, err := st.PutAll(soon(t), rev, byPath(lines...))
		return conflictOf(t, err), err.Error()
	}
	first := mustStoreAll(t, st, 0, "a=1", "b=1", "c/d=1")
	mustDelete(t, client, below+"b")
	c, text := put(first, "b=2")
	if c.Theirs <= first || !slices.Equal(c.Moved, []string{"b"}) || !strings.Contains(text, "since then, b changed") || len(c.Values) != 0 {
		t.Errorf("deleted past the store: %+v, %s", c, text)
	}
	if c, _ := put(first, "a=2", "b"); !slices.Equal(c.Moved, []string{"b"}) || string(c.Values["a"]) != "1" {
		t.Errorf("deleted past the store, and to be deleted: %+v", c)
	}
	second := mustStoreAll(t, st, first, "a=2", "e=1", "never") // what is new, or was absent before, is in nobody's way
	mustPut(t, client, below+"e", "by hand")
	if c, text := put(second, "e=2"); !slices.Equal(c.Moved, []string{"e"}) || !strings.Contains(text, "since then, e changed") {
		t.Errorf("written past the store: %+v, %s", c, text)
	}
	third := mustStoreAll(t, st, second, "c/d")
	if c, _ := put(second, "a=3"); !slices.Equal(c.Moved, []string{"c/d", "e"}) || c.Theirs != third {
		t.Errorf("other keys through the store: %+v, want revision %d", c, third)
	}
	if c, text := put(0, "x=1"); !slices.Equal(c.Moved, []string{"a", "e"}) || !strings.Contains(text, "it is there, at revision") || c.Theirs == 0 {
		t.Errorf("it is there: %+v, %s", c, text)
	}
	if c, _ := put(third+1000, "x=1"); c.Theirs < third || c.Theirs >= third+1000 {
		t.Errorf("a revision that has not been: %+v", c)
	}
	if _, err := st.Delete(soon(t), config.AnyRevision); err != nil {
		t.Fatal(err)
	}
	_, err := st.Delete(soon(t), third)
	if c := conflictOf(t, err); c.Theirs != 0 || !strings.Contains(err.Error(), "not there any more") {
		t.Errorf("delete what is gone: %v", err)
	}
	mustStoreAll(t, st, 0, "a=1")
}

// TestConfigTreeAmongStrangers: keys below it that are none of its own are in the way of creating it from nothing, and that is said.
func TestConfigTreeAmongStrangers(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app", config.WithTree())
	mustPut(t, client, prefix+"/config/app/a%zz", "older")
	mustPut(t, client, prefix+"/config/app//x", "newer")
	_, err := st.PutAll(soon(t), 0, byPath("a=1"))
	c := conflictOf(t, err)
	resp, getErr := client.Get(soon(t), prefix+"/config/app//x")
	if getErr != nil {
		t.Fatal(getErr)
	}
	if c.Theirs != resp.Kvs[0].ModRevision || !strings.Contains(err.Error(), fmt.Sprintf("other keys stand below it, the newest at revision %d", c.Theirs)) {
		t.Errorf("%+v, %v", c, err)
	}
	values, rev, err := st.GetAll(soon(t))
	if err != nil || len(values) != 0 || rev == 0 {
		t.Fatalf("%v, %d, %v", values, rev, err)
	}
	mustStoreAll(t, st, rev, "a=1") // whoever has looked may write
}

// TestConfigConflictAfterCompaction: what cannot be told any more counts as a conflict.
func TestConfigConflictAfterCompaction(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	st := config.NewStore(open(t, client, "etcdkit"), "app", config.WithTree())
	first := mustStoreAll(t, st, 0, "a=1", "b=1")
	mustDelete(t, client, "etcdkit/config/app/b")
	mustPut(t, client, "other", "1")
	c.Compact(t)
	if _, err := st.PutAll(soon(t), first, byPath("b=2")); !strings.Contains(conflictOf(t, err).Error(), "etcd has dropped what stood at revision") {
		t.Errorf("a key that was deleted: %v", err)
	}
	mustStoreAll(t, st, first, "a=2") // it is there, and tells
	_, rev, err := st.GetAll(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	mustStoreAll(t, st, rev, "b=2")
}

// TestConfigLeavesNoPart: what did not fit into its version goes again if somebody else was faster.
func TestConfigLeavesNoPart(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)
	st, other := config.NewStore(open(t, client, prefix), "big"), config.NewStore(open(t, cluster.Shared(t), prefix), "big")
	noise := make([]byte, 1<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	first := mustStore(t, st, 0, "small")
	held := faults.Hold(puts(prefix + "/config/"))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := st.Put(soon(t), first, noise); !errors.Is(err, config.ErrConflict) {
			t.Errorf("overtaken: %v", err)
		}
	})
	held.Await()
	line := prefix + "/confighistory/big/@/"
	if left := keys(t, client, line); len(left) != 3 {
		t.Errorf("on its way: %v", left)
	}
	mustStore(t, other, first, "faster")
	if err := held.Release(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if left := keys(t, client, line); len(left) != 3 || strings.Count(strings.Join(left, ""), "/") != strings.Count(line, "/")*3 {
		t.Errorf("after it: %v", left)
	}
	if _, err := st.Put(soon(t), config.AnyRevision, noise); err != nil {
		t.Fatal(err)
	}
	if history, err := st.History(soon(t)); err != nil || len(history) != 3 || string(history[0].Edits[0].After) != string(noise) {
		t.Errorf("%d versions, %v", len(history), err)
	}
}
