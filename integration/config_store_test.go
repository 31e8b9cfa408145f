package integration

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

func mustStore(t testing.TB, st *config.Store, rev int64, value string, opts ...config.PutOption) int64 {
	t.Helper()
	rev, err := st.Put(soon(t), rev, []byte(value), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// told puts a history into lines: "number author comment path:before>after".
func toldHistory(t testing.TB, st *config.Store) (lines []string) {
	t.Helper()
	versions, err := st.History(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	show := func(value []byte) string {
		if value == nil {
			return "-"
		}
		return string(value)
	}
	for _, v := range versions {
		line := fmt.Sprintf("%d %s %s", v.Number, v.Author, v.Comment)
		for _, e := range v.Edits {
			line += fmt.Sprintf(" %s:%s>%s", e.Path, show(e.Before), show(e.After))
		}
		lines = append(lines, line)
		if time.Since(v.Time) > time.Minute || v.Revision == 0 {
			t.Errorf("%+v", v)
		}
	}
	return lines
}

func expectHistory(t testing.TB, st *config.Store, want ...string) {
	t.Helper()
	if got := toldHistory(t, st); !slices.Equal(got, want) {
		t.Errorf("history\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestStoreWrites(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app/api")
	if value, rev, err := st.Get(soon(t)); err != nil || value != nil || rev != 0 {
		t.Errorf("absent: %q, %d, %v", value, rev, err)
	}
	ann := config.WithAuthor("ann")
	first := mustStore(t, st, 0, "1", ann, config.WithComment("first"))
	if value, rev, err := st.Get(soon(t)); err != nil || string(value) != "1" || rev != first {
		t.Errorf("%q, %d, %v, want revision %d", value, rev, err, first)
	}
	var conflict *config.ConflictError
	_, err := st.Put(soon(t), 0, []byte("x"))
	if !errors.As(err, &conflict) || !errors.Is(err, config.ErrConflict) || conflict.Theirs != first || string(conflict.Values[""]) != "1" || string(conflict.Yours[""]) != "x" {
		t.Errorf("there already: %v, %+v", err, conflict)
	}
	second := mustStore(t, st, first, "2", ann)
	if _, err := st.Put(soon(t), first, []byte("x")); !errors.As(err, &conflict) || conflict.Theirs != second || conflict.Rev != first {
		t.Errorf("outdated: %v", err)
	}
	mustPut(t, client, st.Key(), "by hand")
	if _, err := st.Put(soon(t), second, []byte("x")); !errors.Is(err, config.ErrConflict) {
		t.Errorf("written past the store: %v", err)
	}
	third := mustStore(t, st, config.AnyRevision, "", ann)
	if _, err := st.Delete(soon(t), second, ann); !errors.Is(err, config.ErrConflict) {
		t.Errorf("outdated delete: %v", err)
	}
	if rev, err := st.Delete(soon(t), third, ann); err != nil || rev <= third {
		t.Errorf("delete: %d, %v", rev, err)
	}
	if _, err := st.Put(soon(t), third, []byte("x")); !errors.As(err, &conflict) || conflict.Theirs != 0 || !strings.Contains(err.Error(), "not there any more") {
		t.Errorf("after the delete: %v", err)
	}
	if rev, err := st.Delete(soon(t), config.AnyRevision); err != nil || rev != 0 {
		t.Errorf("nothing to delete: %d, %v", rev, err)
	}
	mustStore(t, st, 0, "3", ann)
	expectHistory(t, st, "5 ann  :->3", "4 ann  :>-", "3 ann  :by hand>", "2 ann  :1>2", "1 ann first :->1")
}

func TestStoreRollback(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app", config.WithKeep(3))
	ann := config.WithAuthor("ann")
	for i := range 5 {
		mustStore(t, st, config.AnyRevision, fmt.Sprintf(`{"a":%d}`, i+1), ann)
	}
	expectHistory(t, st, `5 ann  :{"a":4}>{"a":5}`, `4 ann  :{"a":3}>{"a":4}`, `3 ann  :->{"a":3}`)
	if _, err := st.Rollback(soon(t), 2); err == nil || !strings.Contains(err.Error(), "the history has 3 to 5") {
		t.Errorf("a version that was dropped: %v", err)
	}
	if diff, err := st.Diff(soon(t), 3, 5); err != nil || diff != " {\n-  \"a\": 3\n+  \"a\": 5\n }\n" {
		t.Errorf("diff %q, %v", diff, err)
	}
	mustPut(t, client, st.Key(), `{"a":9}`)
	if diff, err := st.Diff(soon(t), 5, 0); err != nil || diff != " {\n-  \"a\": 5\n+  \"a\": 9\n }\n" {
		t.Errorf("diff to what stands there %q, %v", diff, err)
	}
	if _, err := st.Rollback(soon(t), 3, ann); err != nil {
		t.Fatal(err)
	}
	if got := value(t, client, st.Key()); got != `{"a":3}` {
		t.Errorf("rolled back to %s", got)
	}
	if _, err := st.Rollback(soon(t), 6); !errors.Is(err, config.ErrUnchanged) || !strings.Contains(err.Error(), "rollback to version 6") {
		t.Errorf("to what stands there: %v", err)
	}
	expectHistory(t, st, `6 ann rollback to version 3 :{"a":9}>{"a":3}`, `5 ann  :{"a":4}>{"a":5}`, `4 ann  :->{"a":4}`)
}

func TestStoreOfATree(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	st := config.NewStore(s, "app", config.WithTree())
	v := mustWatch(t, s, "app", byDefault, config.WithTree())
	ann := config.WithAuthor("ann")
	first, err := st.PutAll(soon(t), 0, map[string][]byte{"level": []byte("debug"), "limits/a": []byte("1")}, ann)
	if err != nil {
		t.Fatal(err)
	}
	stepsOf(t, v).until(func(ch *config.Change[settings]) bool { return ch.New.Level == "debug" && ch.New.Limits["a"] == 1 })
	if doc, rev, err := st.Get(soon(t)); err != nil || string(doc) != `{"level":"debug","limits":{"a":1}}` || rev < first {
		t.Errorf("%s, %d, %v", doc, rev, err)
	}
	if _, err := st.PutAll(soon(t), 0, map[string][]byte{"timeout": []byte("1s")}); !errors.Is(err, config.ErrConflict) {
		t.Errorf("the tree is not empty: %v", err)
	}
	check := config.WithCheck(config.Check(byDefault, config.WithTree()))
	for path, bad := range map[string]string{"timeout": "2h", "timeouts": "1s", "limits/a": "x"} {
		_, err := st.PutAll(soon(t), first, map[string][]byte{path: []byte(bad)}, check)
		if !errors.Is(err, config.ErrRefused) || !strings.Contains(err.Error(), `config "app"`) {
			t.Errorf("%s = %s: %v", path, bad, err)
		}
	}
	second, err := st.PutAll(soon(t), first, map[string][]byte{"limits/a": nil, "limits/b": []byte("2"), "timeout": []byte("3s")}, ann, check)
	if err != nil {
		t.Fatal(err)
	}
	// Strangers beside it are no conflict, and writes through the store are, whatever they wrote.
	mustPut(t, client, prefix+"/config/app/limits/c", "3")
	if _, err := st.PutAll(soon(t), first, map[string][]byte{"level": []byte("warn")}); !errors.Is(err, config.ErrConflict) {
		t.Errorf("the tree was written: %v", err)
	}
	third, err := st.PutAll(soon(t), second, map[string][]byte{"level": []byte("warn")}, ann)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, client, prefix+"/config/app/level", "by hand")
	if _, err := st.PutAll(soon(t), third, map[string][]byte{"level": []byte("error")}); !errors.Is(err, config.ErrConflict) {
		t.Errorf("the key was written past the store: %v", err)
	}
	if diff, err := st.Diff(soon(t), 1, 3); err != nil || diff != "level:\n-debug\n+warn\nlimits/a:\n-1\nlimits/b:\n+2\ntimeout:\n+3s\n" {
		t.Errorf("diff %q, %v", diff, err)
	}
	if _, err := st.Rollback(soon(t), 1, ann); err != nil {
		t.Fatal(err)
	}
	if doc, _, err := st.Get(soon(t)); err != nil || string(doc) != `{"level":"debug","limits":{"a":1,"c":3}}` {
		t.Errorf("rolled back to %s, %v", doc, err)
	}
	if _, err := st.Delete(soon(t), config.AnyRevision, ann); err != nil {
		t.Fatal(err)
	}
	if doc, _, err := st.Get(soon(t)); err != nil || doc != nil {
		t.Errorf("deleted, and there is %s, %v", doc, err)
	}
	expectHistory(t, st, "5 ann  level:debug>- limits/a:1>- limits/c:3>-",
		"4 ann rollback to version 1 level:by hand>debug limits/a:->1 limits/b:2>- timeout:3s>-",
		"3 ann  level:debug>warn", "2 ann  limits/a:1>- limits/b:->2 timeout:->3s", "1 ann  level:->debug limits/a:->1")
}

// TestStoreLosesNoUpdate: counters that are raised by compare-and-swap end where they must.
func TestStoreLosesNoUpdate(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	const writers, each = 5, 10
	var conflicts atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		st := config.NewStore(open(t, client, prefix), "counter")
		wg.Go(func() {
			for n := 0; n < each; {
				value, rev, err := st.Get(soon(t))
				count := 0
				if len(value) > 0 {
					_, scanErr := fmt.Sscan(string(value), &count)
					err = errors.Join(err, scanErr)
				}
				if err != nil {
					t.Error(err)
					return
				}
				_, err = st.Put(soon(t), rev, []byte(fmt.Sprint(count+1)))
				switch {
				case err == nil:
					n++
				case errors.Is(err, config.ErrConflict):
					conflicts.Add(1)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	st := config.NewStore(open(t, client, prefix), "counter")
	value, _, err := st.Get(soon(t))
	if err != nil || string(value) != fmt.Sprint(writers*each) {
		t.Errorf("%s after %d raises, %v", value, writers*each, err)
	}
	history, err := st.History(soon(t))
	if err != nil || len(history) != writers*each {
		t.Errorf("%d versions, %v", len(history), err)
	}
	for i, v := range history {
		if want := fmt.Sprint(writers*each - i); string(v.Edits[0].After) != want || v.Number != int64(writers*each-i) {
			t.Errorf("version %d has %s, want %s", v.Number, v.Edits[0].After, want)
		}
	}
	t.Logf("%d conflicts", conflicts.Load())
}

// TestStoreFindsItsOwnWrite: an answer is lost, and the write counts once.
func TestStoreFindsItsOwnWrite(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app", config.WithKeep(5))
	first := mustStore(t, st, 0, "1")
	faults.LoseReply(puts(prefix + "/config/"))
	second := mustStore(t, st, first, "2")
	if value, rev, err := st.Get(soon(t)); err != nil || string(value) != "2" || rev != second {
		t.Errorf("%s, %d, %v, want revision %d", value, rev, err, second)
	}
	if history, err := st.History(soon(t)); err != nil || len(history) != 2 {
		t.Errorf("%d versions, %v", len(history), err)
	}

	// Lost, and overtaken by somebody else before it is sent again.
	other := config.NewStore(open(t, cluster.Shared(t), prefix), "app")
	held := faults.HoldReply(puts(prefix + "/config/"))
	var third int64
	var wg sync.WaitGroup
	wg.Go(func() { third = mustStore(t, st, second, "3") })
	held.Await()
	eventually(t, "the write", func() bool { return value(t, client, st.Key()) == "3" })
	_, now, err := other.Get(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	mustStore(t, other, now, "4")
	if err := held.Release(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if third != now {
		t.Errorf("the write came at revision %d and says %d", now, third)
	}
}

// TestStoreSaysWhatItDoesNotKnow: no answer comes before ctx ends.
func TestStoreSaysWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	st := config.NewStore(open(t, client, "etcdkit"), "app")
	rev := mustStore(t, st, 0, "1")
	c.LoseAnswers()
	ctx := within(t, 300*time.Millisecond)
	if _, _, err := st.Get(ctx); err == nil || errors.Is(err, session.ErrUncertain) {
		t.Errorf("Get = %v", err)
	}
	c.Unblackhole()
	recovers(t, client)

	faulty, faults := faultyOf(t, c)
	st = config.NewStore(open(t, faulty, "etcdkit"), "app")
	lost := faults.HoldReply(puts("etcdkit/config/"))
	_, err := st.Put(within(t, 500*time.Millisecond), rev, []byte("2"))
	if !errors.Is(err, session.ErrUncertain) {
		t.Errorf("Put = %v", err)
	}
	if err := lost.Release(); err != nil {
		t.Error(err)
	}
}

func TestStoreRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	st := config.NewStore(s, "big")
	v := mustWatch(t, s, "big", []byte(nil))
	text := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	rev := mustStore(t, st, 0, text)
	if _, err := st.Put(soon(t), rev, []byte(text+"x")); !errors.Is(err, config.ErrTooLarge) || !strings.Contains(err.Error(), "1048577 bytes, more than 1 MiB") {
		t.Errorf("Put = %v", err)
	}
	noise := func() string { // what does not get smaller
		data := make([]byte, 1<<19)
		if _, err := rand.Read(data); err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(data)
	}
	first, second := noise(), noise()
	rev = mustStore(t, st, rev, first)
	rev = mustStore(t, st, rev, second)
	stepsOf(t, v).until(func(ch *config.Change[[]byte]) bool { return ch.Revision == rev && string(ch.New) == second })
	history, err := st.History(soon(t))
	if err != nil || len(history) != 3 || string(history[0].Edits[0].After) != second || string(history[0].Edits[0].Before) != first || string(history[1].Edits[0].Before) != text {
		t.Errorf("%d versions, %v", len(history), err)
	}
	if _, err := st.Rollback(soon(t), 2); err != nil || value(t, client, st.Key()) != first {
		t.Errorf("rollback: %v", err)
	}
	short := config.NewStore(s, "big", config.WithKeep(1))
	mustStore(t, short, config.AnyRevision, "x")
	if left := keys(t, client, prefix+"/confighistory/"); len(left) != 2 {
		t.Errorf("left of the history: %v", left)
	}
}

// TestStoreReplacesWhatIsTooLarge: somebody wrote more than the history can keep past the store.
func TestStoreReplacesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "big")
	noise := make([]byte, 1400<<10)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	mustPut(t, client, st.Key(), string(noise))
	_, rev, err := st.Get(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	value := string(noise[:1<<20])
	mustStore(t, st, rev, value)
	history, err := st.History(soon(t))
	if err != nil || len(history) != 1 || history[0].Edits[0].Before != nil || string(history[0].Edits[0].After) != value {
		t.Errorf("%d versions, %v", len(history), err)
	}
}

func TestStoreOutlivesJunk(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	st, line := config.NewStore(s, "app"), prefix+"/confighistory/app/@/"
	ann := config.WithAuthor("ann")
	rev := mustStore(t, st, 0, "1", ann)
	mustPut(t, client, line+"head", "junk")
	mustPut(t, client, line+"junk", "junk")
	rev = mustStore(t, st, rev, "2", ann)
	mustDelete(t, client, line+"head")
	rev = mustStore(t, st, rev, "3", ann)
	mustPut(t, client, fmt.Sprintf("%s%020d", line, 2), "\x1f\x8bjunk")
	mustStore(t, st, rev, "4", ann)
	expectHistory(t, st, "4 ann  :3>4", "3 ann  :2>3", "1 ann  :->1")

	mustPut(t, client, prefix+"/configstatus/app/@/zz", "junk")
	mustPut(t, client, prefix+"/configstatus/app/@/12", "junk")
	if list, err := st.Status(soon(t)); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	mustPut(t, client, prefix+"/config/app/a%zz", "junk")
	mustPut(t, client, prefix+"/config/app/b", "1")
	mustPut(t, client, prefix+"/config/apple", "1")
	names := func(below string) string {
		t.Helper()
		list, err := config.List(soon(t), s, below)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, info := range list {
			names = append(names, info.Name)
		}
		return strings.Join(names, " ")
	}
	if all, below := names(""), names("app"); all != "app app/b apple" || below != "app/b" {
		t.Errorf("names %q, below app %q", all, below)
	}
}

// TestStoreOnAFullStore: refused with etcd's word for it, and reads go on.
func TestStoreOnAFullStore(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1, cluster.SmallQuota)
	st := config.NewStore(open(t, c.Client(t), "etcdkit"), "app")
	rev := mustStore(t, st, 0, "1")
	c.FillSpace(t)
	if _, err := st.Put(soon(t), rev, []byte("2")); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("Put = %v", err)
	}
	if value, now, err := st.Get(soon(t)); err != nil || string(value) != "1" || now != rev {
		t.Errorf("%s, %d, %v", value, now, err)
	}
	c.FreeSpace(t)
	mustStore(t, st, rev, "2")
}

// TestStatus: who runs what, who refused it, and who is gone.
func TestStatus(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	labels := func(role string) session.Option { return session.WithLabels(map[string]string{"role": role}) }
	lax, strict := open(t, client, prefix, labels("lax")), open(t, client, prefix, labels("strict"))
	st := config.NewStore(lax, "app")
	type any struct{ Timeout time.Duration }
	laxValue := mustWatch(t, lax, "app", any{}, config.WithReport())
	mustWatch(t, strict, "app", byDefault, config.WithReport())
	status := func(what string, right func(lax, strict config.Instance) bool) {
		t.Helper()
		var list []config.Instance
		eventually(t, what, func() bool {
			var err error
			if list, err = st.Status(soon(t)); err != nil {
				t.Fatal(err)
			}
			if len(list) != 2 {
				return false
			}
			if list[0].Labels["role"] != "lax" {
				slices.Reverse(list)
			}
			return right(list[0], list[1])
		})
	}
	status("the default", func(l, s config.Instance) bool { return l.Current && s.Current && l.Revision == 0 && l.PID != 0 })
	first := mustStore(t, st, 0, `{"timeout":"5s"}`)
	status("a good value", func(l, s config.Instance) bool {
		return l.Current && s.Current && l.Revision == first && s.Revision == first
	})
	second := mustStore(t, st, first, `{"timeout":"2h"}`)
	status("a value that one refuses", func(l, s config.Instance) bool {
		return l.Current && l.Revision == second && !s.Current && s.Revision == first && s.RefusedRevision == second &&
			strings.Contains(s.Refused, "more than a minute")
	})
	if _, err := st.Delete(soon(t), second); err != nil {
		t.Fatal(err)
	}
	status("a deletion", func(l, s config.Instance) bool { return l.Deleted && !l.Current && s.Deleted && s.Refused == "" })
	if err := laxValue.Close(); err != nil {
		t.Error(err)
	}
	if list, err := st.Status(soon(t)); err != nil || len(list) != 1 || list[0].Labels["role"] != "strict" {
		t.Errorf("after Close: %v, %v", list, err)
	}

	lease := mustLease(t, strict).ID()
	if _, err := client.Revoke(soon(t), lease); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a report under another lease", func() bool {
		list, err := st.Status(soon(t))
		return err == nil && len(list) == 1 && list[0].Lease != lease && list[0].Lease != clientv3.NoLease
	})
	if err := strict.Close(soon(t)); err != nil {
		t.Fatal(err)
	}
	if list, err := st.Status(soon(t)); err == nil && len(list) != 0 {
		t.Errorf("after the session: %v, %v", list, err)
	}
}
