package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"etcdkit/config"
)

func TestConfigPutAndGet(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	stdout, stderr, status := etcdkit(t, args("get", "app/a")...)
	if status != 0 || stdout != "" || stderr != "etcdkit: config \"app/a\": there is no value\n" {
		t.Errorf("absent: status %d, %q, %q", status, stdout, stderr)
	}
	if got := succeed(t, args("put", "app/a", file(t, "a.json", "\n{\"b\": \"<1>\",\n \"a\": 1.10}\n"), "--comment", "first")...); !strings.HasPrefix(got, "created, revision ") {
		t.Errorf("put printed %q", got)
	}
	value, rev := stands(t, prefix, "app/a")
	if want := "{\"b\": \"<1>\",\n \"a\": 1.10}"; value != want || succeed(t, args("get", "app/a")...) != want+"\n" {
		t.Errorf("%q stands there", value)
	}
	if got, want := succeed(t, args("get", "app/a", "-o", "json")...), fmt.Sprintf("{\"name\":\"app/a\",\"revision\":%d,\"value\":{\"b\":\"<1>\",\"a\":1.10}}\n", rev); got != want {
		t.Errorf("in JSON: %q, want %q", got, want)
	}
	if got := succeed(t, args("get", "app/a", "--format", "yaml")...); got != "b: <1>\na: 1.10\n" {
		t.Errorf("in YAML: %q", got)
	}
	stdout, stderr, status = etcdkit(t, args("put", "app/a", file(t, "a.yml", "b: no # really\na: [1]\n"), "-o", "json")...)
	value, rev = stands(t, prefix, "app/a")
	if status != 0 || value != `{"b":"no","a":[1]}` || stdout != fmt.Sprintf("{\"revision\":%d}\n", rev) || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "a.yml: the value is kept as JSON, and its comments are not") {
		t.Errorf("from YAML: status %d, %q, %q, %q", status, value, stdout, stderr)
	}
	p := launch(t, nil, args("put", "app/a", "-", "--format", "yaml")...)
	p.say("b: yes")
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if p.wait(); p.out.all() == "" || p.err.all() != "" {
		t.Errorf("from standard input: %q, %q", p.out.all(), p.err.all())
	}
	if value, _ = stands(t, prefix, "app/a"); value != `{"b":"yes"}` {
		t.Errorf("from standard input: %q", value)
	}
}

func TestConfigConflict(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	succeed(t, args("put", "a", "--create", "--value", `{"x":1}`)...)
	_, rev := stands(t, prefix, "a")
	succeed(t, args("put", "a", "--revision", fmt.Sprint(rev), "--value", `{"x":2}`)...)
	_, theirs := stands(t, prefix, "a")
	for _, c := range []struct {
		flag, says string
	}{
		{"--revision=" + fmt.Sprint(rev), fmt.Sprintf("it is at revision %d, and was to be at %d", theirs, rev)},
		{"--revision=0", fmt.Sprintf("it is there, at revision %d", theirs)},
		{"--create", fmt.Sprintf("it is there, at revision %d", theirs)},
	} {
		stdout, stderr, status := etcdkit(t, args("put", "a", c.flag, "--value", `{"x":3}`)...)
		want := "etcdkit: theirs:\n{\n  \"x\": 2\n}\netcdkit: config \"a\": somebody else has written it: " + c.says + "\n"
		if status != statusConflict || stdout != "" || stderr != want {
			t.Errorf("%s: status %d, %q, %q", c.flag, status, stdout, stderr)
		}
	}
	stdout, stderr, status := etcdkit(t, args("put", "gone", "--revision", "7", "--value", "{}")...)
	if status != statusConflict || stdout != "" || !strings.Contains(stderr, "it is not there any more") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("absent: status %d, %q, %q", status, stdout, stderr)
	}
	if value, rev := stands(t, prefix, "a"); value != `{"x":2}` || rev != theirs {
		t.Errorf("%s stands there, at %d", value, rev)
	}
}

func TestConfigTree(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	tree := func(verb string, more ...string) []string {
		return args(append([]string{verb, "--tree", "app"}, more...)...)
	}
	if got := succeed(t, tree("put", "--value", `{"http/timeout":"5s","http/retries":3}`)...); !strings.HasPrefix(got, "created, ") {
		t.Errorf("put printed %q", got)
	}
	if _, err := shared.client.Put(t.Context(), prefix+"/config/app/name", "plain"); err != nil {
		t.Fatal(err)
	}
	if got, want := succeed(t, tree("get")...), "KEY           VALUE\nhttp/retries  3\nhttp/timeout  \"5s\"\nname          plain\n"; got != want {
		t.Errorf("get: %q", got)
	}
	if got, want := succeed(t, tree("get", "--format", "yaml")...), "http/retries: 3\nhttp/timeout: 5s\nname: plain\n"; got != want {
		t.Errorf("in YAML: %q", got)
	}
	var read struct {
		Revision int64
		Value    map[string]any
	}
	decode(t, succeed(t, tree("get", "-o", "json")...), &read)
	if read.Revision == 0 || len(read.Value) != 3 || read.Value["http/retries"] != 3.0 {
		t.Errorf("in JSON: %+v", read)
	}
	succeed(t, tree("put", "--revision", fmt.Sprint(read.Revision), "--value", `{"http/timeout":"7s","http/retries":null}`)...)
	if got, want := succeed(t, tree("get")...), "KEY           VALUE\nhttp/timeout  \"7s\"\nname          plain\n"; got != want {
		t.Errorf("get: %q", got)
	}
	stdout, stderr, status := etcdkit(t, tree("put", "--revision", fmt.Sprint(read.Revision), "--value", `{"http/timeout":"8s"}`)...)
	if status != statusConflict || stdout != "" || !strings.HasPrefix(stderr, "etcdkit: theirs, http/retries: it is not there any more\netcdkit: theirs, http/timeout:\n\"7s\"\netcdkit: ") {
		t.Errorf("conflict: status %d, %q, %q", status, stdout, stderr)
	}
	if got, want := succeed(t, tree("diff")...), "http/retries:\n-3\nhttp/timeout:\n-\"5s\"\n+\"7s\"\n"; got != want {
		t.Errorf("diff: %q", got)
	}
	succeed(t, tree("rollback", "1")...)
	if got := succeed(t, tree("get", "--format", "json")...); got != "{\n  \"http/retries\": 3,\n  \"http/timeout\": \"5s\",\n  \"name\": \"plain\"\n}\n" {
		t.Errorf("after the rollback: %q", got)
	}
	if got := succeed(t, tree("history")...); !strings.Contains(got, "1 written, 1 deleted") || strings.Count(got, "\n") != 4 {
		t.Errorf("history:\n%s", got)
	}
	if got := succeed(t, args("ls", "app/")...); !strings.Contains(got, "app/http/retries") || strings.Count(got, "\n") != 4 {
		t.Errorf("ls:\n%s", got)
	}
}

func TestConfigAtAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	succeed(t, args("put", "legacy", "--at-key", prefix+"/legacy/x", "--value", "{}")...)
	if keys := keysOf(t, shared.client, prefix+"/legacy/"); len(keys) != 1 || keys[0] != prefix+"/legacy/x" {
		t.Errorf("keys: %q", keys)
	}
	if got := succeed(t, args("get", "legacy", "--at-key", prefix+"/legacy/x")...); got != "{}\n" {
		t.Errorf("get: %q", got)
	}
	if got := succeed(t, args("history", "legacy")...); strings.Count(got, "\n") != 2 {
		t.Errorf("history: %q", got)
	}
	if got := succeed(t, args("ls")...); got != "NAME  REVISION\n" {
		t.Errorf("ls: %q", got)
	}
}

// TestConfigOfAnybody: what stands in etcd may be no JSON, and may mean something to a terminal.
func TestConfigOfAnybody(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	for key, value := range map[string]string{"junk": "\x1b[2Jgone\nyes", "binary": "\xff", "wide": "{\"a\":\"\u202e\"}"} {
		if _, err := storeIn(prefix, key).Put(t.Context(), 0, []byte(value), config.WithAuthor("\x1b[1m"), config.WithComment("two\nlines")); err != nil {
			t.Fatal(err)
		}
	}
	if got := succeed(t, args("get", "junk")...); got != "\x1b[2Jgone\nyes\n" {
		t.Errorf("a pipe gets %q", got)
	}
	for name, want := range map[string]string{"junk": `"value_text":"\u001b[2Jgone\nyes"`, "binary": `"value_base64":"/w=="`} {
		if got := succeed(t, args("get", name, "-o", "json")...); !strings.Contains(got, want) || !json.Valid([]byte(got)) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got, want := succeed(t, args("diff", "junk")...), "+\\x1b[2Jgone\n+yes\n"; got != want {
		t.Errorf("diff: %q, want %q", got, want)
	}
	if got := succeed(t, args("history", "junk")...); strings.Count(got, "\n") != 2 || !strings.Contains(got, `"\x1b[1m"`) || !strings.Contains(got, `"two\nlines"`) {
		t.Errorf("history: %q", got)
	}
	if _, stderr, status := etcdkit(t, args("put", "wide", "--create", "--value", "{}")...); status != statusConflict || strings.Contains(stderr, "\u202e") || !strings.Contains(stderr, `\u202e`) {
		t.Errorf("conflict: status %d, %q", status, stderr)
	}
	complaint{"YAML of it", args("get", "junk", "--format", "yaml"), statusFailed, []string{`config "junk": it is not JSON`}}.check(t, shared.endpoint)
}
