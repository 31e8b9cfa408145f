package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"etcdkit/internal/mirror"
)

// put and goneAt are updates of the key of a follower.
func (f *follower) put(revision int64, value string) *mirror.Update {
	return &mirror.Update{Revision: revision, Puts: []mirror.Put{{Item: &mirror.Item{Key: f.place.key, Value: []byte(value), ModRevision: revision}}}}
}

func (f *follower) goneAt(revision int64) *mirror.Update {
	return &mirror.Update{Revision: revision, Deletes: []*mirror.Item{{Key: f.place.key}}}
}

// TestRevisionsDoNotFall, whatever is refused and deleted in which order.
func TestRevisionsDoNotFall(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]Option{"kept": nil, "reset": {WithDeleteResets()}} {
		f, _ := followerOf(t, "app", limit{}, opts...)
		if err := f.apply(&mirror.Update{Revision: 3}); err != nil || f.newest().newest() != 0 {
			t.Fatalf("%s: %v, revision %d", name, err, f.newest().newest())
		}
		for i, u := range []*mirror.Update{
			f.put(4, "junk"), f.goneAt(5), f.put(6, `{"max":1}`), f.goneAt(7), f.put(8, "junk"), f.goneAt(9), f.put(10, "junk"), f.put(11, `{"max":2}`),
		} {
			if err := f.apply(u); err != nil {
				t.Fatal(err)
			}
			now := f.newest()
			if got := newChange[limit](nil, now).Revision; got != u.Revision {
				t.Errorf("%s, step %d: revision %d, want %d", name, i, got, u.Revision)
			}
			if deleted := i == 3 || i == 5 && name == "kept"; now.deleted != deleted {
				t.Errorf("%s, step %d: deleted is %v", name, i, now.deleted)
			}
			if refused := i == 0 || i == 4 || i == 6; (now.refused != nil) != refused {
				t.Errorf("%s, step %d: refused is %v", name, i, now.refused)
			}
		}
	}
}

// TestDefaultThatIsNotValid cannot be the value, and is of use all the same.
func TestDefaultThatIsNotValid(t *testing.T) {
	t.Parallel()
	f, _ := followerOf(t, "app", picky{Max: 6})
	var refused *RefusedError
	if err := f.apply(&mirror.Update{Revision: 3}); !errors.As(err, &refused) || refused.Revision != 3 ||
		err.Error() != "revision 3 refused: nothing stands in etcd, and the default is not valid: max: more than 5" {
		t.Errorf("absent: %v", err)
	}
	if g, _ := followerOf(t, "app", proud{}); !strings.Contains(g.apply(&mirror.Update{Revision: 3}).Error(), "the default is not valid: panic: never") {
		t.Error("a default that panics was taken")
	}
	path := filepath.Join(t.TempDir(), "last")
	f, _ = followerOf(t, "app", picky{Max: 6}, WithDeleteResets(), WithLastGood(path))
	for _, u := range []*mirror.Update{f.put(3, `{"max":1}`), f.goneAt(4)} {
		if err := f.apply(u); err != nil {
			t.Fatal(err)
		}
	}
	now := f.newest()
	if now.value.(*picky).Max != 1 || !now.deleted || now.revision != 4 || now.refused == nil ||
		now.refused.Error() != "revision 4 refused: it is deleted, and the default is not valid: max: more than 5" {
		t.Errorf("reset: %+v", now)
	}
	if err := f.apply(f.put(5, `{"max":2}`)); err != nil || f.newest().value.(*picky).Max != 2 || f.newest().refused != nil || f.newest().deleted {
		t.Errorf("written again: %v, %+v", err, f.newest())
	}
	if _, err := f.write(&view{revision: 8}); err != nil { // by a program whose default was valid
		t.Fatal(err)
	}
	f, _ = followerOf(t, "app", picky{Max: 6}, WithLastGood(path))
	if err := f.apply(&mirror.Update{Revision: 9}); err == nil || strings.Count(err.Error(), "is not valid") != 2 {
		t.Errorf("a file that says that nothing was there: %v", err)
	}
}

// TestUnusableFileIsToldOnce: what apply has tried, first does not try again.
func TestUnusableFileIsToldOnce(t *testing.T) {
	t.Parallel()
	f, _ := followerOf(t, "app", limit{}, WithLastGood(filepath.Join(t.TempDir(), "none")))
	f.finish(f.apply(f.put(3, "junk")))
	err := f.first(t.Context())
	if !errors.Is(err, ErrRefused) || strings.Count(err.Error(), "last good file") != 1 {
		t.Errorf("%v", err)
	}
}
