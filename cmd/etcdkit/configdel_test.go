package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestConfigDel(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	stdout, stderr, status := etcdkit(t, args("del", "a")...)
	if status != 0 || stdout != "" || stderr != "etcdkit: config \"a\": there is no value\n" {
		t.Errorf("absent: status %d, %q, %q", status, stdout, stderr)
	}
	if stdout, _, status := etcdkit(t, args("del", "a", "-o", "json")...); status != 0 || stdout != "{\"revision\":0,\"deleted\":0}\n" {
		t.Errorf("absent, in JSON: status %d, %q", status, stdout)
	}
	stdout, stderr, status = etcdkit(t, args("del", "a", "--revision", "7")...)
	if want := "etcdkit: config \"a\": somebody else has written it: it is not there any more, and was to be at revision 7\n"; status != statusConflict || stdout != "" || stderr != want {
		t.Errorf("absent at a revision: status %d, %q, %q", status, stdout, stderr)
	}
	succeed(t, args("put", "a", "--value", `{"x":1}`)...)
	_, first := stands(t, prefix, "a")
	succeed(t, args("put", "a", "--value", `{"x":2}`)...)
	_, second := stands(t, prefix, "a")
	stdout, stderr, status = etcdkit(t, args("del", "a", "--revision", fmt.Sprint(first))...)
	want := fmt.Sprintf("etcdkit: theirs:\n{\n  \"x\": 2\n}\netcdkit: config \"a\": somebody else has written it: it is at revision %d, and was to be at %d\n", second, first)
	if status != statusConflict || stdout != "" || stderr != want {
		t.Errorf("conflict: status %d, %q, %q", status, stdout, stderr)
	}
	if got := succeed(t, args("del", "a", "--revision", fmt.Sprint(second), "--author", "ann", "--comment", "retired")...); !strings.HasPrefix(got, "deleted, revision ") {
		t.Errorf("del printed %q", got)
	}
	if value, rev := stands(t, prefix, "a"); value != "" || rev != 0 {
		t.Errorf("%s stands there, at %d", value, rev)
	}
	if got := succeed(t, args("history", "a")...); !strings.Contains(got, "deleted  retired") || !strings.Contains(got, " ann ") {
		t.Errorf("history:\n%s", got)
	}
	succeed(t, args("rollback", "a", "2")...)
	if value, _ := stands(t, prefix, "a"); value != `{"x":2}` {
		t.Errorf("after the rollback %s stands there", value)
	}
	if got := succeed(t, args("del", "a", "-o", "json")...); !strings.HasSuffix(got, ",\"deleted\":1}\n") {
		t.Errorf("in JSON: %q", got)
	}
}

func TestConfigDelOfATree(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	succeed(t, args("put", "apples", "--value", "{}")...)
	succeed(t, args("put", "--tree", "app", "--value", `{"a":1,"b/c":2}`)...)
	var read struct{ Revision int64 }
	decode(t, succeed(t, args("get", "--tree", "app", "-o", "json")...), &read)
	succeed(t, args("put", "--tree", "app", "--value", `{"d":4}`)...)
	stdout, stderr, status := etcdkit(t, args("del", "--tree", "app", "--revision", fmt.Sprint(read.Revision))...)
	if status != statusConflict || stdout != "" || !strings.Contains(stderr, "theirs, d:\n4\n") {
		t.Errorf("conflict: status %d, %q, %q", status, stdout, stderr)
	}
	if got := succeed(t, args("del", "--tree", "app")...); !strings.HasPrefix(got, "3 deleted, revision ") {
		t.Errorf("del printed %q", got)
	}
	if got := succeed(t, args("ls")...); strings.Count(got, "\n") != 2 || !strings.Contains(got, "apples ") {
		t.Errorf("ls:\n%s", got)
	}
	stdout, stderr, status = etcdkit(t, args("del", "--tree", "app", "--revision", fmt.Sprint(read.Revision))...)
	if status != statusConflict || stdout != "" || !strings.Contains(stderr, "it is not there any more") {
		t.Errorf("deleted: status %d, %q, %q", status, stdout, stderr)
	}
	succeed(t, args("rollback", "--tree", "app", "2")...)
	if got, want := succeed(t, args("get", "--tree", "app", "--format", "json")...), "{\n  \"a\": 1,\n  \"b/c\": 2,\n  \"d\": 4\n}\n"; got != want {
		t.Errorf("after the rollback: %q", got)
	}
}

func TestConfigDelAtAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	succeed(t, args("put", "legacy", "--at-key", prefix+"/legacy/x", "--value", "{}")...)
	if got := succeed(t, args("del", "legacy", "--at-key", prefix+"/legacy/x")...); !strings.HasPrefix(got, "deleted, ") {
		t.Errorf("del printed %q", got)
	}
	if keys := keysOf(t, shared.client, prefix+"/legacy/"); len(keys) != 0 {
		t.Errorf("keys: %q", keys)
	}
}
