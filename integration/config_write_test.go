package integration

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"

	"etcdkit/config"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// TestConfigTreeBesideItsName: a single value and a tree of one name have nothing in common.
func TestConfigTreeBesideItsName(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	one, tree := config.NewStore(s, "app"), config.NewStore(s, "app", config.WithTree())
	ann := config.WithAuthor("ann")
	mustStore(t, one, 0, "first", ann)
	rev, err := tree.PutAll(soon(t), 0, byPath("a=1"), ann)
	if err != nil {
		t.Fatal(err)
	}
	mustStore(t, one, config.AnyRevision, "second", ann)
	if _, err := tree.PutAll(soon(t), rev, byPath("a=2"), ann); err != nil {
		t.Errorf("the single value was written, not the tree: %v", err)
	}
	if _, err := one.Rollback(soon(t), 1, ann); err != nil || value(t, client, one.Key()) != "first" {
		t.Errorf("rolled back to %q, %v", value(t, client, one.Key()), err)
	}
	expectHistory(t, one, "3 ann rollback to version 1 :second>first", "2 ann  :first>second", "1 ann  :->first")
	expectHistory(t, tree, "2 ann  a:1>2", "1 ann  a:->1")

	mustWatch(t, s, "app", map[string]any{}, config.WithTree(), config.WithReport())
	eventually(t, "the tree's report", func() bool {
		list, err := tree.Status(soon(t))
		return err == nil && len(list) == 1 && list[0].Current
	})
	if list, err := one.Status(soon(t)); err != nil || len(list) != 0 {
		t.Errorf("the single value's reports: %v, %v", list, err)
	}
}

// TestConfigConflictIsFinal: a write that was told to be in conflict does not come later, though a copy of it is still under way and what it
// compares is true again.
func TestConfigConflictIsFinal(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]bool{"single": false, "tree": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, faults := interceptedClient(t)
			other, prefix := cluster.Shared(t), cluster.Prefix(t)
			key, write := prefix+"/config/app", func() error {
				_, err := config.NewStore(open(t, client, prefix), "app").Put(soon(t), 0, []byte("mine"))
				return err
			}
			if tree {
				st := config.NewStore(open(t, client, prefix), "app", config.WithTree())
				rev := mustStoreAll(t, st, 0, "a=1")
				key, write = key+"/b", func() error {
					_, err := st.PutAll(soon(t), rev, byPath("a=2", "b=mine"))
					return err
				}
			}
			late := faults.SendLate(puts(key))
			held := faults.Hold(puts(key))
			var err error
			var wg sync.WaitGroup
			wg.Go(func() { err = write() })
			late.Await()
			held.Await()
			mustPut(t, other, key, "theirs")
			_ = held.Release()
			wg.Wait()
			_ = conflictOf(t, err)
			mustDelete(t, other, key)
			if err := late.Release(); err != nil {
				t.Error(err)
			}
			if left := keys(t, other, key); len(left) != 0 {
				t.Errorf("it came after all: %v", left)
			}
		})
	}
}

// TestConfigConflictThatCannotBeSettled is none: the copy that is under way may come yet.
func TestConfigConflictThatCannotBeSettled(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	other, prefix := cluster.Shared(t), cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app")
	late := faults.SendLate(puts(st.Key()))
	held := faults.Hold(puts(st.Key()))
	settle := faults.HoldReply(puts(prefix + "/confighistory/"))
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { _, err = st.Put(ctx, 0, []byte("mine")) })
	late.Await()
	held.Await()
	mustPut(t, other, st.Key(), "theirs")
	_ = held.Release()
	settle.Await()
	cancel()
	wg.Wait()
	_, _ = settle.Release(), late.Release()
	if !errors.Is(err, session.ErrUncertain) {
		t.Errorf("Put = %v", err)
	}
}

// TestConfigLateCopyIsFound: the copy that had no answer is applied while the second is under way, and something else is in the second's way.
func TestConfigLateCopyIsFound(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	other, prefix := cluster.Shared(t), cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app")
	late := faults.SendLate(puts(st.Key()))
	held := faults.Hold(puts(st.Key()))
	settle := faults.Hold(puts(prefix + "/confighistory/"))
	var rev int64
	var wg sync.WaitGroup
	wg.Go(func() { rev = mustStore(t, st, 0, "mine") })
	late.Await()
	held.Await()
	mustPut(t, other, st.Key(), "theirs")
	_ = held.Release() // it meets theirs
	settle.Await()
	mustDelete(t, other, st.Key())
	_ = late.Release() // and now the way is free
	_, now, err := config.NewStore(open(t, other, prefix), "app").Get(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	_ = settle.Release()
	wg.Wait()
	if rev == 0 || rev != now {
		t.Errorf("it came at revision %d, and says %d", now, rev)
	}
}

// TestConfigWritesCompare: what comes while the transaction is under way is a conflict, and stays.
func TestConfigWritesCompare(t *testing.T) {
	t.Parallel()
	// overtake holds the transaction of a write while somebody else writes.
	overtake := func(t *testing.T, rev func(first int64) int64, begin []string, meanwhile func(t *testing.T, tree *config.Store, below string)) string {
		t.Helper()
		client, faults := interceptedClient(t)
		other, prefix := cluster.Shared(t), cluster.Prefix(t)
		st := config.NewStore(open(t, client, prefix), "app", config.WithTree())
		first := int64(0)
		if len(begin) > 0 {
			first = mustStoreAll(t, st, 0, begin...)
		}
		held := faults.Hold(puts(prefix + "/config/app/"))
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { _, err = st.PutAll(soon(t), rev(first), byPath("a=mine")) })
		held.Await()
		meanwhile(t, config.NewStore(open(t, other, prefix), "app", config.WithTree()), prefix+"/config/app/")
		_ = held.Release()
		wg.Wait()
		_ = conflictOf(t, err)
		doc, _, err := st.Get(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	based := func(first int64) int64 { return first }
	t.Run("the head", func(t *testing.T) {
		t.Parallel()
		doc := overtake(t, based, []string{"a=1"}, func(t *testing.T, tree *config.Store, _ string) {
			t.Helper()
			mustStoreAll(t, tree, config.AnyRevision, "b=theirs")
		})
		if doc != `{"a":1,"b":"theirs"}` {
			t.Errorf("it is %s", doc)
		}
	})
	t.Run("the key", func(t *testing.T) {
		t.Parallel()
		doc := overtake(t, based, []string{"a=1"}, func(t *testing.T, _ *config.Store, below string) {
			t.Helper()
			mustPut(t, cluster.Shared(t), below+"a", "theirs")
		})
		if doc != `{"a":"theirs"}` {
			t.Errorf("it is %s", doc)
		}
	})
	t.Run("the tree", func(t *testing.T) {
		t.Parallel()
		doc := overtake(t, based, nil, func(t *testing.T, _ *config.Store, below string) {
			t.Helper()
			mustPut(t, cluster.Shared(t), below+"b", "theirs")
		})
		if doc != `{"b":"theirs"}` {
			t.Errorf("it is %s", doc)
		}
	})
}

// TestConfigLostPart: what did not fit into the version is put first. Without an answer to that, nothing was written, and that is certain.
func TestConfigLostPart(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app")
	noise := make([]byte, 1<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	lost := faults.HoldReply(cluster.Method("Put"))
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { _, err = st.Put(ctx, 0, noise) })
	lost.Await()
	cancel()
	wg.Wait()
	if !errors.Is(err, context.Canceled) || errors.Is(err, session.ErrUncertain) {
		t.Errorf("Put = %v", err)
	}
	if err := lost.Release(); err != nil {
		t.Error(err)
	}
	eventually(t, "the part is gone", func() bool { return len(keys(t, cluster.Shared(t), prefix+"/confighistory/")) == 0 })
}

// TestConfigChecksSeeWhatIsWritten: a check cannot change it, and a tree that is written past the store meanwhile is checked again.
func TestConfigChecksSeeWhatIsWritten(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	scribble := config.WithCheck(func(data []byte) error { data[0] = 'X'; return nil })
	mustStore(t, config.NewStore(s, "one"), 0, `{"a":1}`, scribble, config.WithCheck(config.Check(map[string]int{})))
	if got := value(t, client, prefix+"/config/one"); got != `{"a":1}` {
		t.Errorf("a check made it %s", got)
	}
	tree := config.NewStore(s, "app", config.WithTree())
	mustStoreAll(t, tree, 0, "min=1", "max=5")
	var seen []string
	_, err := tree.PutAll(soon(t), config.AnyRevision, byPath("max=3"), scribble, config.WithCheck(func(data []byte) error {
		if seen = append(seen, string(data)); len(seen) == 1 {
			mustPut(t, client, prefix+"/config/app/min", "4")
			return nil
		}
		return errors.New("max is below min")
	}))
	if !errors.Is(err, config.ErrRefused) || !strings.Contains(err.Error(), "max is below min") {
		t.Errorf("PutAll = %v", err)
	}
	if want := `{"max":3,"min":1} {"max":3,"min":4}`; strings.Join(seen, " ") != want {
		t.Errorf("the check saw %s, want %s", seen, want)
	}
	if got := value(t, client, prefix+"/config/app/max"); got != "5" {
		t.Errorf("max is %s", got)
	}
}

// required is of use only if etcd tells its address.
type required struct {
	Addr  string `json:"addr"`
	Limit int    `json:"limit"`
}

func (r required) Validate() error {
	if r.Addr == "" {
		return errors.New("addr: must be set in etcd")
	}
	return nil
}

// TestConfigThatMustBeSet: a default that is not valid is what the rest is, and never the value.
func TestConfigThatMustBeSet(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, def := open(t, client, prefix), required{Limit: 7}
	_, err := config.Watch(soon(t), s, "app", def)
	if !errors.Is(err, config.ErrRefused) || !strings.Contains(err.Error(), "nothing stands in etcd, and the default is not valid: addr: must be set in etcd") {
		t.Errorf("absent: %v", err)
	}
	mustPut(t, client, prefix+"/config/app", `{"addr":"a"}`)
	v := mustWatch(t, s, "app", def, config.WithDeleteResets())
	at := stepsOf(t, v)
	if ch := at.next(); ch.New != (required{"a", 7}) || ch.Refused != nil {
		t.Errorf("%+v", ch)
	}
	mustDelete(t, client, prefix+"/config/app")
	if ch := at.next(); ch.New != (required{"a", 7}) || !ch.Deleted || !errors.Is(ch.Refused, config.ErrRefused) {
		t.Errorf("deleted: %+v", ch)
	}
	mustPut(t, client, prefix+"/config/app", `{"addr":"b"}`)
	if ch := at.next(); ch.New != (required{"b", 7}) || ch.Deleted || ch.Refused != nil {
		t.Errorf("written again: %+v", ch)
	}
}
