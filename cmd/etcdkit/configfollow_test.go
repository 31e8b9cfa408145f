package main

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"etcdkit/config"
	"etcdkit/session"
)

// limits is what a program follows.
type limits struct {
	Most int `json:"most"`
}

func (l limits) Validate() error {
	if l.Most > 9 {
		return errors.New("most \x1b[2J: 9 at most")
	}
	return nil
}

func TestConfigStatus(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	if got := succeed(t, args("status", "a", "-o", "json")...); got != "[]\n" {
		t.Errorf("of nobody: %q", got)
	}
	s := session.New(shared.client, session.WithPrefix(prefix), session.WithLabels(map[string]string{"job": "42"}))
	defer s.Close(t.Context())
	v, err := config.Watch(t.Context(), s, "a", limits{Most: 1}, config.WithReport())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }() // there is no file that could be behind
	awaitOutput(t, args("status", "a"), `(?m) 0 +current +-$`)
	succeed(t, args("put", "a", "--value", `{"most":5}`)...)
	_, good := stands(t, prefix, "a")
	awaitOutput(t, args("status", "a"), fmt.Sprintf(` %d +current +-\n$`, good))
	succeed(t, args("put", "a", "--value", `{"most":10}`)...)
	_, bad := stands(t, prefix, "a")
	list := awaitOutput(t, args("status", "a"), "refused")
	want := fmt.Sprintf(`^HOST +PID +SESSION SINCE +LABELS +REVISION +STATE +WHY
%s +\d+ +\S+ +job=42 +%d +refused +"revision %d: most \\x1b\[2J: 9 at most"
$`, regexp.QuoteMeta(hostname(t)), good, bad)
	if !regexp.MustCompile(want).MatchString(list) {
		t.Errorf("status: %q", list)
	}
	var all []struct {
		State, Why      string
		Revision        int64
		RefusedRevision int64 `json:"refused_revision"`
		PID             int
	}
	decode(t, succeed(t, args("status", "a", "-o", "json")...), &all)
	if len(all) != 1 || all[0].State != "refused" || all[0].Revision != good || all[0].RefusedRevision != bad || all[0].Why != "most \x1b[2J: 9 at most" || all[0].PID == 0 {
		t.Errorf("status: %+v", all)
	}
	if _, err := storeIn(prefix, "a").Delete(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	awaitOutput(t, args("status", "a"), ` deleted +-\n$`)
}

func TestStateOfAnInstance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		is         config.Instance
		state, why string
	}{
		{config.Instance{}, "behind", ""},
		{config.Instance{Current: true}, "current", ""},
		{config.Instance{Current: true, Deleted: true}, "deleted", ""},
		{config.Instance{Refused: "bad", Deleted: true}, "refused", "bad"},
		{config.Instance{Refused: "bad", Stopped: "no right"}, "stopped", "no right"},
	} {
		if state, why := stateOf(c.is); state != c.state || why != c.why {
			t.Errorf("%+v: %s, %s", c.is, state, why)
		}
	}
}

func TestConfigWatch(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	plain, coded := launch(t, nil, args("watch", "a")...), launch(t, nil, args("watch", "a", "-o", "json")...)
	tree := launch(t, nil, args("watch", "--tree", "a")...)
	plain.await("there is no value")
	coded.await(`{"revision":0}`)
	tree.await("there is no value")
	succeed(t, args("put", "a", "--value", "{\"x\": 1,\n \"y\": \"\u202e\"}")...)
	_, rev := stands(t, prefix, "a")
	plain.await(fmt.Sprintf(`revision %d: {"x":1,"y":"\u202e"}`, rev))
	coded.await(fmt.Sprintf(`{"revision":%d,"value":{"x":1,"y":"`, rev))
	succeed(t, args("put", "--tree", "a", "--value", `{"b/c":1}`)...)
	tree.await(`: {"b":{"c":1}}`)
	if _, err := shared.client.Put(t.Context(), prefix+"/config/a", "two\nlines"); err != nil {
		t.Fatal(err)
	}
	plain.await(`: two\nlines`)
	coded.await(`"value_text":"two\nlines"`)
	if _, err := shared.client.Delete(t.Context(), prefix+"/config/a"); err != nil {
		t.Fatal(err)
	}
	plain.await(": deleted")
	coded.await(`,"deleted":true}`)
	for p, sig := range map[*process]syscall.Signal{plain: syscall.SIGINT, coded: syscall.SIGTERM, tree: syscall.SIGINT} {
		p.signal(sig)
		if status := p.wait(); status != 0 || p.err.all() != "" {
			t.Errorf("status %d after %v: %s", status, sig, p.err.all())
		}
	}
}

// TestConfigWatchOfATree: it shows what programs get, and tells what none can get.
func TestConfigWatchOfATree(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	succeed(t, args("put", "--tree", "a", "--value", `{"x/50%":1,"@y":2}`)...)
	plain, coded := launch(t, nil, args("watch", "--tree", "a")...), launch(t, nil, args("watch", "--tree", "a", "-o", "json")...)
	const value = `{"@y":2,"x":{"50%":1}}`
	plain.await(": " + value)
	coded.await(`"value":` + value)
	junk, err := shared.client.Put(t.Context(), prefix+"/config/a/z", "\xff")
	if err != nil {
		t.Fatal(err)
	}
	rev := junk.Header.Revision
	plain.await(fmt.Sprintf("revision %d: refused: z: it is not UTF-8, still %s", rev, value))
	coded.await(fmt.Sprintf(`{"revision":%d,"refused":"z: it is not UTF-8","value":%s}`, rev, value))
	if _, err := shared.client.Delete(t.Context(), prefix+"/config/a/z"); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[*process]string{plain: "refused", coded: `"refused"`} {
		line := p.await(value)
		for strings.Contains(line, want) {
			line = p.await(value)
		}
	}
	nothing := launch(t, nil, args("watch", "--tree", "b")...)
	nothing.await("there is no value")
	if _, err := shared.client.Put(t.Context(), prefix+"/config/b/z", "\xff"); err != nil {
		t.Fatal(err)
	}
	nothing.await(": refused: z: it is not UTF-8, still nothing")
}

func TestConfigWatchTellsWhatIsNotCertain(t *testing.T) {
	t.Parallel()
	args := configIn(ownPrefix(t))
	succeed(t, args("put", "a", "--value", "1")...)
	between := newProxy(t, shared.endpoint)
	through := append([]string{"--endpoints", between.endpoint()}, args("watch", "a")...)
	plain, coded := launch(t, nil, through...), launch(t, nil, append(through, "-o", "json")...)
	plain.await(": 1")
	coded.await(`"value":1`)
	if err := between.listener.Close(); err != nil {
		t.Fatal(err)
	}
	between.cut()
	plain.await("not certain since ")
	coded.await(`{"stale":true,"stale_since":"`)
	succeed(t, args("put", "a", "--value", "2")...)
	listener, err := net.Listen("tcp", between.endpoint())
	if err != nil {
		t.Fatal(err)
	}
	serveProxy(t, listener, shared.endpoint)
	for p, want := range map[*process][2]string{plain: {": 2", "certain again"}, coded: {`"value":2`, `{"stale":false}`}} {
		for seen := ""; !strings.Contains(seen, want[0]) || !strings.Contains(seen, want[1]); { // in any order
			seen += p.await("") + "\n"
		}
	}
	for _, p := range []*process{plain, coded} { // the outage alone is no change of the value
		if out := p.out.all(); strings.Count(out, "\n") != 4 {
			t.Errorf("it printed\n%s", out)
		}
	}
}
