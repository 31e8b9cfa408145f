package main

import (
	"encoding/json"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestKVOutputIsEtcdctls(t *testing.T) {
	t.Parallel()
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"get", "plain/a"}, ""},
		{[]string{"put", "plain/a", "1"}, "OK\n"},
		{[]string{"put", "plain/b", ""}, "OK\n"},
		{[]string{"put", "plain/c", "--", "-3"}, "OK\n"},
		{[]string{"get", "plain/a"}, "plain/a\n1\n"},
		{[]string{"get", "plain/"}, ""},
		{[]string{"get", "--prefix", "plain/"}, "plain/a\n1\nplain/b\n\nplain/c\n-3\n"},
		{[]string{"get", "--prefix", "--keys-only", "plain/"}, "plain/a\nplain/b\nplain/c\n"},
		{[]string{"del", "plain/a"}, "1\n"},
		{[]string{"del", "plain/a"}, "0\n"},
		{[]string{"del", "plain/", "--prefix"}, "2\n"},
	} {
		if got := succeed(t, append([]string{"kv"}, step.args...)...); got != step.want {
			t.Errorf("kv %q: printed %q, want %q", step.args, got, step.want)
		}
	}
}

func TestKVPutFromStdin(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "kv", "put", "stdin/a", "-")
	p.say("two")
	p.say("lines")
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if status := p.wait(); status != 0 {
		t.Fatalf("status %d: %s", status, p.err.all())
	}
	resp, err := shared.client.Get(t.Context(), "stdin/a")
	if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "two\nlines\n" {
		t.Fatalf("found %v, %v", resp, err)
	}
}

func TestKVJSON(t *testing.T) {
	t.Parallel()
	if _, err := shared.client.Put(t.Context(), "json/binary", "\xff\x00"); err != nil {
		t.Fatal(err)
	}
	succeed(t, "kv", "put", "json/text", "<a & b>")
	var got struct {
		Revision int64
		Count    int
		KVs      []map[string]any
	}
	decode(t, succeed(t, "kv", "get", "--prefix", "json/", "-o", "json"), &got)
	if got.Revision == 0 || got.Count != 2 || len(got.KVs) != 2 {
		t.Fatalf("got %+v", got)
	}
	if kv := got.KVs[0]; kv["key"] != "json/binary" || kv["value_base64"] != "/wA=" || kv["value"] != nil {
		t.Errorf("binary: %v", kv)
	}
	if kv := got.KVs[1]; kv["value"] != "<a & b>" || kv["version"] != 1.0 || kv["create_revision"] == nil {
		t.Errorf("text: %v", kv)
	}
	if kvs := succeed(t, "kv", "get", "json/none", "-o", "json"); !json.Valid([]byte(kvs)) {
		t.Errorf("nothing: %s", kvs)
	}
	var deleted struct{ Deleted int }
	decode(t, succeed(t, "kv", "del", "--prefix", "json/", "-o", "json"), &deleted)
	if deleted.Deleted != 2 {
		t.Errorf("deleted %d, want 2", deleted.Deleted)
	}
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}

func TestKVWatch(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "kv", "watch", "--prefix", "watch/")
	j := launch(t, nil, "kv", "watch", "watch/a", "-o", "json")
	p.awaitNote("watching from revision")
	j.awaitNote("watching from revision")
	ctx := t.Context()
	if _, err := shared.client.Put(ctx, "watch/a", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.client.Delete(ctx, "watch/a"); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.client.Put(ctx, "watch/b", "2"); err != nil {
		t.Fatal(err)
	}
	p.await("2")
	for _, sig := range []struct {
		p   *process
		sig syscall.Signal
	}{{p, syscall.SIGINT}, {j, syscall.SIGTERM}} {
		if sig.p == j {
			j.await("DELETE")
		}
		sig.p.signal(sig.sig)
		if status := sig.p.wait(); status != 0 {
			t.Errorf("status %d after %v: %s", status, sig.sig, sig.p.err.all())
		}
	}
	if got, want := p.out.all(), "PUT\nwatch/a\n1\nDELETE\nwatch/a\n\nPUT\nwatch/b\n2\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	var first struct{ Type, Key, Value string }
	decode(t, j.out.got[0], &first)
	if len(j.out.got) != 2 || first.Type != "PUT" || first.Key != "watch/a" || first.Value != "1" {
		t.Errorf("printed %q", j.out.all())
	}
}

func TestKVWatchSurvivesACut(t *testing.T) {
	t.Parallel()
	between := newProxy(t, shared.endpoint)
	p := launch(t, nil, "--endpoints", between.endpoint(), "kv", "watch", "cut/a")
	p.awaitNote("watching from revision")
	for _, value := range []string{"one", "two", "three"} {
		if _, err := shared.client.Put(t.Context(), "cut/a", value); err != nil {
			t.Fatal(err)
		}
		between.cut() // before or after the change came through
		p.await(value)
	}
	if got, want := p.out.all(), "PUT\ncut/a\none\nPUT\ncut/a\ntwo\nPUT\ncut/a\nthree\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestKVWatchTellsWhatCompactionTook(t *testing.T) {
	t.Parallel()
	responses := make(chan clientv3.WatchResponse, 1)
	responses <- clientv3.WatchResponse{Canceled: true, CompactRevision: 9}
	cmd := &cobra.Command{}
	cmd.SetErr(io.Discard)
	err := (&program{}).watch(t.Context(), cmd, false, responses)
	if err == nil || err.Error() != "the changes after revision 0 were compacted away, up to 9" {
		t.Fatalf("got %v", err)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	succeed(t, "kv", "put", "variables/a", "found")
	for _, c := range []struct {
		name string
		env  []string
		args []string
		ok   bool
	}{
		{"etcdctl's", []string{"ETCDKIT_ENDPOINTS=", "ETCDCTL_ENDPOINTS=" + shared.endpoint}, nil, true},
		{"ours wins", []string{"ETCDCTL_ENDPOINTS=127.0.0.1:1"}, nil, true},
		{"flag wins", []string{"ETCDKIT_ENDPOINTS=127.0.0.1:1"}, []string{"--endpoints", shared.endpoint}, true},
		{"used at all", []string{"ETCDKIT_ENDPOINTS=127.0.0.1:1"}, nil, false},
		{"several", []string{"ETCDKIT_ENDPOINTS=127.0.0.1:1, " + shared.endpoint}, nil, true},
	} {
		p := launch(t, c.env, append([]string{"kv", "get", "variables/a"}, c.args...)...)
		if status := p.wait(); (status == 0) != c.ok {
			t.Errorf("%s: status %d: %s", c.name, status, p.err.all())
		}
	}
	prefixed := launch(t, []string{"ETCDKIT_PREFIX=other"}, "lock", "variables", "--", "sh", "-c", "echo $ETCD_LOCK_KEY")
	prefixed.await("other/lock/variables/@/")
	if got := launch(t, []string{"ETCDKIT_PREFIX=other"}, "kv", "get", "variables/a").await("found"); got != "found" {
		t.Errorf("kv with a prefix for locks: %q", got)
	}
	p := launch(t, []string{"ETCDCTL_DIAL_TIMEOUT=soon"}, "kv", "get", "a")
	if status := p.wait(); status != statusUsage {
		t.Errorf("bad variable: status %d", status)
	}
	p.awaitNote("environment variable ETCDCTL_DIAL_TIMEOUT: ")
}

func TestSignalEndsARequest(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := launch(t, nil, "--dial-timeout", "1h", "--endpoints", listener.Addr().String(), "kv", "get", "a")
	conn, err := listener.Accept() // it is connected to somebody who does not answer
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 128+15 || p.err.all() != "" {
		t.Errorf("status %d: %q", status, p.err.all())
	}
}
