package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// forget deletes the size that a test has set, which stays otherwise.
func forget(t *testing.T, key string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := shared.client.Delete(context.Background(), key); err != nil {
			t.Error(err)
		}
	})
}

func TestResize(t *testing.T) {
	t.Parallel()
	forget(t, "resize/semaphore/downloads/@.size")
	lockArgs := func(args ...string) []string { return append([]string{"lock", "--prefix", "resize"}, args...) }
	run := func(n int, more ...string) []string {
		return append(lockArgs("run", "downloads", "--size", "2", "--permits", fmt.Sprint(n)), more...)
	}
	one, two := launch(t, nil, append(run(1), untilLine...)...), launch(t, nil, append(run(1), untilLine...)...)
	one.await("started")
	two.await("started")
	late := launch(t, nil, append(run(1), untilLine...)...)
	late.awaitNote(`waiting: semaphore "downloads": held by `)
	awaitOutput(t, lockArgs("owners", "downloads", "--size", "2"), `(?m)^waits +1/2`)
	if got := succeed(t, lockArgs("resize", "downloads", "3")...); got != "3 permits\n" {
		t.Errorf("resize printed %q", got)
	}
	late.await("started")
	owners := succeed(t, lockArgs("owners", "downloads", "--size", "2")...)
	if strings.Count(owners, "\nholds  1/3") != 3 {
		t.Errorf("owners:\n%s", owners)
	}
	var list []owner
	decode(t, succeed(t, lockArgs("owners", "downloads", "--size", "2", "-o", "json")...), &list)
	if len(list) != 3 || list[2].Permits != 1 || list[2].Size != 3 {
		t.Errorf("owners: %+v", list)
	}

	var resized struct {
		Key  string
		Size int
	}
	decode(t, succeed(t, lockArgs("resize", "downloads", "1", "-o", "json")...), &resized)
	if resized.Size != 1 || resized.Key != "resize/semaphore/downloads/@.size" {
		t.Errorf("resize: %+v", resized)
	}
	finish(two) // holders go on, and what one of them gives back is not free yet
	if _, stderr, status := etcdkit(t, run(1, "--try", "--", "echo")...); status != statusNotFree {
		t.Errorf("status %d, %q", status, stderr)
	}
	complaint{"too many", run(2, "--", "echo"), statusOwn, []string{`semaphore "downloads": 2 permits are wanted, and there are 1`}}.check(t, shared.endpoint)
	finish(one, late)
	if got := succeed(t, run(1, "--", "echo", "ran")...); got != "ran\n" {
		t.Errorf("%q", got)
	}
	if keys := keysOf(t, shared.client, "resize/"); len(keys) != 1 || keys[0] != resized.Key {
		t.Errorf("left behind: %q", keys)
	}
}

func TestResizeAtAnExactKey(t *testing.T) {
	t.Parallel()
	forget(t, "/legacy/slots.size")
	succeed(t, "lock", "resize", "--exact-key", "/legacy/slots", "2")
	if keys := keysOf(t, shared.client, "/legacy/slots"); len(keys) != 1 || keys[0] != "/legacy/slots.size" {
		t.Errorf("keys: %q", keys)
	}
	out := succeed(t, "lock", "run", "--exact-key", "/legacy/slots", "--permits", "2", "--size", "1", "--", "echo", "ran")
	if out != "ran\n" {
		t.Errorf("%q", out)
	}
}

func TestBadResizes(t *testing.T) {
	t.Parallel()
	resize := func(args ...string) []string {
		return append([]string{"lock", "--prefix", "resizes", "resize"}, args...)
	}
	for _, c := range []complaint{
		{"nothing", resize(), statusUsage, []string{"the name of the semaphore is missing", `"etcdkit lock resize --help"`}},
		{"no size", resize("a"), statusUsage, []string{"the number of permits is missing"}},
		{"two sizes", resize("a", "1", "2"), statusUsage, []string{`unexpected argument "2"`}},
		{"no number", resize("a", "many"), statusUsage, []string{`"many": must be a number of permits`}},
		{"half a permit", resize("a", "1.5"), statusUsage, []string{`"1.5": must be a number of permits`}},
		{"more than a number can be", resize("a", strings.Repeat("9", 30)), statusUsage, []string{`9": must be a number of permits`}},
		{"a flag", resize("a", "-1"), statusUsage, []string{"'1' in -1"}},
		{"none", resize("a", "0"), statusFailed, []string{`semaphore "a": a size of 0`}},
		{"less than none", resize("a", "--", "-1"), statusFailed, []string{`semaphore "a": a size of -1`}},
		{"too many", resize("a", "2147483647"), statusFailed, []string{`semaphore "a": a size of 2147483647`}},
		{"empty name", resize("", "1"), statusUsage, []string{`etcdkit: bad semaphore name "": it is empty`}},
	} {
		c.check(t, shared.endpoint)
	}
	complaint{"no etcd", resize("a", "1"), statusFailed, []string{"etcd at 127.0.0.1:1: ", "connection refused"}}.check(t, "127.0.0.1:1")
	if keys := keysOf(t, shared.client, "resizes/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

func TestCompletionAndHelpOfResize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"lock", "resi"}, "resize\tSet how many permits a semaphore has\n:4\n"},
		{[]string{"lock", "resize", ""}, ":4\n"}, // and no files
		{[]string{"lock", "resize", "a", ""}, ":4\n"},
	} {
		if got := succeed(t, append([]string{"__complete"}, c.args...)...); got != c.want {
			t.Errorf("%q: %q", c.args, got)
		}
	}
	help := succeed(t, "help", "lock", "resize")
	for _, text := range []string{"etcdkit lock resize NAME SIZE", "--exact-key", "--prefix"} {
		if !strings.Contains(help, text) {
			t.Errorf("the help does not say %q: %s", text, help)
		}
	}
}
