package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"etcdkit/config"
)

func TestConfigHistory(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	before := time.Now().Add(-time.Second)
	succeed(t, args("put", "a", "--value", `{"x":1,"y":1}`, "--comment", "first", "--author", "ann")...)
	succeed(t, args("put", "a", "--value", `{"x":2,"y":1}`)...)
	if _, err := storeIn(prefix, "a").Delete(t.Context(), config.AnyRevision, config.WithAuthor("bea")); err != nil {
		t.Fatal(err)
	}
	list := succeed(t, args("history", "a")...)
	want := fmt.Sprintf(`^VERSION +TIME +AUTHOR +REVISION +CHANGE +COMMENT
3 +\S+ +bea +\d+ +deleted +-
2 +\S+ +\S+@%s +\d+ +written +-
1 +\S+ +ann +\d+ +written +first
$`, regexp.QuoteMeta(hostname(t)))
	if !regexp.MustCompile(want).MatchString(list) {
		t.Errorf("history:\n%s", list)
	}
	var all []struct {
		Version, Revision     int64
		Time, Author, Comment string
		Deleted               bool
	}
	decode(t, succeed(t, args("history", "a", "-o", "json")...), &all)
	if len(all) != 3 || !all[0].Deleted || all[1].Deleted || all[2].Comment != "first" || all[2].Author != "ann" || all[2].Revision == 0 || all[2].Version != 1 {
		t.Fatalf("history: %+v", all)
	}
	if at, err := time.Parse(time.RFC3339, all[2].Time); err != nil || at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("written at %s, %v", all[2].Time, err)
	}
	if got := succeed(t, args("history", "none", "-o", "json")...); got != "[]\n" {
		t.Errorf("of none: %q", got)
	}
}

func TestConfigDiffAndRollback(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	succeed(t, args("put", "a", "--value", `{"x":1,"y":1}`)...)
	const object = "{\n+  \"x\": 1,\n+  \"y\": 1\n+}\n"
	if got := succeed(t, args("diff", "a")...); got != "+"+object {
		t.Errorf("of the only one: %q", got)
	}
	succeed(t, args("put", "a", "--value", `{"x":2,"y":1}`)...)
	const step = " {\n-  \"x\": 1,\n+  \"x\": 2,\n   \"y\": 1\n }\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"diff", "a"}, step},
		{[]string{"diff", "a", "1", "2"}, step},
		{[]string{"diff", "a", "1"}, step},
		{[]string{"diff", "a", "2"}, ""},
	} {
		if got := succeed(t, args(c.args...)...); got != c.want {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
	if got := succeed(t, args("rollback", "a", "1", "--comment", "too slow")...); !strings.HasPrefix(got, "rolled back to version 1, revision ") {
		t.Errorf("rollback printed %q", got)
	}
	value, rev := stands(t, prefix, "a")
	if value != `{"x":1,"y":1}` {
		t.Errorf("%s stands there", value)
	}
	if got, want := succeed(t, args("rollback", "a", "1")...), fmt.Sprintf("unchanged, revision %d\n", rev); got != want {
		t.Errorf("again: %q, want %q", got, want)
	}
	if _, err := storeIn(prefix, "a").Delete(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	var diff struct {
		From, To int64
		Diff     string
	}
	decode(t, succeed(t, args("diff", "a", "-o", "json")...), &diff)
	if diff.From != 3 || diff.To != 4 || diff.Diff != "-"+strings.ReplaceAll(object, "+", "-") {
		t.Errorf("after a delete: %+v", diff)
	}
	succeed(t, args("rollback", "a", "2")...)
	succeed(t, args("rollback", "a", "4")...)
	if value, rev := stands(t, prefix, "a"); value != "" || rev != 0 {
		t.Errorf("%s stands there, at %d", value, rev)
	}
	if got := succeed(t, args("history", "a")...); !strings.Contains(got, "too slow") || !strings.Contains(got, "rollback to version 4") {
		t.Errorf("history:\n%s", got)
	}
}

func TestConfigListAndCompletion(t *testing.T) {
	t.Parallel()
	prefix := ownPrefix(t)
	args := configIn(prefix)
	for _, name := range []string{"app/api", "app/db/pool", "other"} {
		succeed(t, args("put", name, "--value", "{}")...)
	}
	succeed(t, args("put", "app/api", "--value", "[]")...)
	if got := succeed(t, args("ls")...); !regexp.MustCompile(`^NAME +REVISION\napp/api +\d+\napp/db/pool +\d+\nother +\d+\n$`).MatchString(got) {
		t.Errorf("ls:\n%s", got)
	}
	var list []struct {
		Name     string
		Revision int64
	}
	decode(t, succeed(t, args("ls", "app", "-o", "json")...), &list)
	if _, rev := stands(t, prefix, "app/api"); len(list) != 2 || list[0].Name != "app/api" || list[0].Revision != rev {
		t.Errorf("ls: %+v", list)
	}
	if got := succeed(t, args("ls", "none", "-o", "json")...); got != "[]\n" {
		t.Errorf("of none: %q", got)
	}
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"get", ""}, "app/api\napp/db/pool\nother\n:4\n"},
		{[]string{"edit", "app/"}, "app/api\napp/db/pool\n:4\n"},
		{[]string{"del", "app/d"}, "app/db/pool\n:4\n"},
		{[]string{"del", "other", ""}, ":4\n"},
		{[]string{"watch", "app/d"}, "app/db/pool\n:4\n"},
		{[]string{"status", "o"}, "other\n:4\n"},
		{[]string{"history", "x/"}, ":4\n"},
		{[]string{"get", "--tree", ""}, "app\napp/db\n:4\n"},
		{[]string{"get", "--tree", "app/"}, "app/db\n:4\n"},
		{[]string{"get", "--at-key", "k", ""}, ":4\n"},
		{[]string{"put", "oth"}, "other\n:4\n"},
		{[]string{"put", "other", ""}, ":0\n"},
		{[]string{"diff", "app/api", ""}, "2\n1\n:4\n"},
		{[]string{"diff", "app/api", "2", "1"}, "1\n:4\n"},
		{[]string{"diff", "app/api", "2", "1", ""}, ":4\n"},
		{[]string{"rollback", "app/api", ""}, "2\n1\n:4\n"},
		{[]string{"rollback", "app/api", "2", ""}, ":4\n"},
		{[]string{"get", "--format", ""}, "json\nyaml\n:4\n"},
		{[]string{"ls", ""}, ":4\n"},
	} {
		if stdout, _, status := etcdkit(t, append([]string{"__complete"}, args(c.words...)...)...); status != 0 || stdout != c.want {
			t.Errorf("%q: status %d, %q, want %q", c.words, status, stdout, c.want)
		}
	}
	began := time.Now()
	for _, words := range [][]string{{"get", ""}, {"rollback", "a", ""}} {
		words = append(words[:len(words):len(words)], "")
		words[len(words)-1], words[len(words)-2] = words[len(words)-2], "--endpoints="+newMute(t)
		if stdout, _, status := etcdkit(t, append([]string{"__complete"}, args(words...)...)...); status != 0 || stdout != ":4\n" {
			t.Errorf("without an answer: status %d, %q", status, stdout)
		}
	}
	if took := time.Since(began); took > 2*(completionTime+slack) {
		t.Errorf("without an answer: after %v", took)
	}
}
