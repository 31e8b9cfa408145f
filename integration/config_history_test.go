package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"etcdkit/config"
	"etcdkit/integration/cluster"
)

// TestConfigHistoryWithAHole: what a version did that cannot be read is not made up of what its neighbours say.
func TestConfigHistoryWithAHole(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	st := config.NewStore(open(t, client, prefix), "app", config.WithTree())
	line := prefix + "/confighistory/app/@.tree/"
	mustStoreAll(t, st, config.AnyRevision, "a=1", "b=1", "c=1")
	mustStoreAll(t, st, config.AnyRevision, "a=2", "b=2")
	mustStoreAll(t, st, config.AnyRevision, "a=3")
	mustStoreAll(t, st, config.AnyRevision, "b=4", "d=4")
	mustPut(t, client, fmt.Sprintf("%s%020d", line, 2), "junk")

	history, err := st.History(soon(t))
	if err != nil || len(history) != 3 {
		t.Fatalf("%d versions, %v", len(history), err)
	}
	if e := history[1].Edits[0]; e.Before != nil || !e.Unknown || string(e.After) != "3" {
		t.Errorf("what version 2 wrote is known to version 3: %+v", e)
	}
	if e := history[0].Edits[0]; e.Unknown || string(e.Before) != "2" {
		t.Errorf("version 4 knows what it found: %+v", e)
	}
	if _, err := st.Rollback(soon(t), 1); err == nil || !strings.Contains(err.Error(), "version 2 is missing") {
		t.Errorf("rollback past the hole: %v", err)
	}
	if _, err := st.Rollback(soon(t), 2); err == nil || !strings.Contains(err.Error(), "version 2 is missing") {
		t.Errorf("rollback into the hole: %v", err)
	}
	diff, err := st.Diff(soon(t), 1, 3)
	if err != nil || !strings.Contains(diff, "a:\n-1\n+3\n") || !strings.Contains(diff, "what version 2 wrote is not known\n") {
		t.Errorf("diff over the hole %q, %v", diff, err)
	}
	if _, err := st.Rollback(soon(t), 3); err != nil {
		t.Errorf("rollback to what is after the hole: %v", err)
	}
	if doc, _, err := st.Get(soon(t)); err != nil || string(doc) != `{"a":3,"b":2,"c":1}` {
		t.Errorf("it is %s, %v", doc, err)
	}
	if _, err := st.Rollback(soon(t), 3); !errors.Is(err, config.ErrUnchanged) {
		t.Errorf("again: %v", err)
	}
}

// TestConfigLists names in more than one page, of a tenth of a megabyte each, and reads none of the values.
func TestConfigLists(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	const names = 5000
	fill(t, client, prefix+"/config/app/k", names)
	watched := &watchReads{KV: client.KV}
	client.KV = watched
	list, err := config.List(soon(t), open(t, client, prefix), "app")
	if err != nil || len(list) != names || list[0].Name != "app/k000000" || list[names-1].Name != "app/k004999" || list[0].Revision == 0 {
		t.Errorf("%d names, %v", len(list), err)
	}
	if watched.reads.Load() < 2 || watched.values.Load() != 0 {
		t.Errorf("%d pages with %d values", watched.reads.Load(), watched.values.Load())
	}
}
