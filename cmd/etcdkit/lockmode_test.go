package main

import (
	"fmt"
	"regexp"
	"testing"
)

// TestReadersRunTogether: two readers run at once, a writer waits for both, and a reader who comes after it waits for the writer.
func TestReadersRunTogether(t *testing.T) {
	t.Parallel()
	lockArgs := func(args ...string) []string { return append([]string{"lock", "--prefix", "readers"}, args...) }
	run := func(args ...string) *process {
		return launch(t, nil, append(lockArgs(append([]string{"run", "catalog"}, args...)...), untilLine...)...)
	}
	one, two := run("--read"), run("--read")
	one.await("started")
	two.await("started")
	writer := run()
	writer.awaitNote(`waiting: lock "catalog": held by `)
	awaitOutput(t, lockArgs("owners", "catalog"), `(?m)^waits +writer`)
	late := run("--read")
	late.awaitNote("waiting: ")
	owners := awaitOutput(t, lockArgs("owners", "catalog"), `(?m)^waits +reader`)
	if want := `^STATE +AS .*\n(holds +reader .*\n){2}waits +writer .*\nwaits +reader .*\n$`; !regexp.MustCompile(want).MatchString(owners) {
		t.Errorf("owners:\n%s", owners)
	}
	var list []owner
	decode(t, succeed(t, lockArgs("owners", "catalog", "-o", "json")...), &list)
	if len(list) != 4 || !list[1].Holder || !list[1].Read || list[2].Read || !list[3].Read {
		t.Errorf("owners: %+v", list)
	}
	finish(one, two)
	writer.await("started")
	if got := late.out.all(); got != "" {
		t.Errorf("a reader reads beside the writer: %q", got)
	}
	finish(writer)
	late.await("started")
	finish(late)
	if keys := keysOf(t, shared.client, "readers/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

func TestTryToReadWhatIsWritten(t *testing.T) {
	t.Parallel()
	writer := launch(t, nil, append([]string{"lock", "written"}, untilLine...)...)
	writer.await("started")
	complaint{"read", []string{"lock", "written", "--read", "--try", "--", "echo"}, statusNotFree, []string{`lock "written": held by`, fmt.Sprint("process ", writer.cmd.Process.Pid)}}.check(t, shared.endpoint)
}

func TestSemaphore(t *testing.T) {
	t.Parallel()
	lockArgs := func(args ...string) []string { return append([]string{"lock", "--prefix", "permits"}, args...) }
	run := func(n int) *process {
		return launch(t, nil, append(lockArgs("run", "downloads", "--size", "3", "--permits", fmt.Sprint(n)), untilLine...)...)
	}
	one, two := run(1), run(2)
	one.await("started")
	two.await("started")
	heavy := run(3)
	heavy.awaitNote(`waiting: semaphore "downloads": held by `)
	owners := awaitOutput(t, lockArgs("owners", "downloads", "--size", "3"), `(?m)^waits`)
	if want := `^STATE +AS .*\n(holds +[12]/3 .*\n){2}waits +3/3 .*\n$`; !regexp.MustCompile(want).MatchString(owners) {
		t.Errorf("owners:\n%s", owners)
	}
	finish(two)
	if stdout, stderr, status := etcdkit(t, lockArgs("run", "downloads", "--size", "3", "--permits", "1", "--try", "--", "echo", "overtook")...); status != statusNotFree || stdout != "" {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	finish(one)
	heavy.await("started")
	finish(heavy)
	if keys := keysOf(t, shared.client, "permits/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

func TestBadModes(t *testing.T) {
	t.Parallel()
	run := func(flags ...string) []string {
		return append(append([]string{"lock", "--prefix", "modes", "a"}, flags...), "--", "echo", "ran")
	}
	for _, c := range []complaint{
		{"both", run("--read", "--permits", "1", "--size", "2"), statusOwn, []string{"--read and --permits exclude each other"}},
		{"no size", run("--permits", "1"), statusOwn, []string{"--permits needs --size"}},
		{"only a size", run("--size", "1"), statusOwn, []string{"--size needs --permits"}},
		{"too many", run("--permits", "9", "--size", "8"), statusOwn, []string{`semaphore "a": 9 permits are wanted, and there are 8`}},
		{"none", run("--permits", "0", "--size", "8"), statusOwn, []string{`semaphore "a": 0 permits are wanted`}},
		{"no room", run("--permits", "1", "--size", "0"), statusOwn, []string{`semaphore "a": a size of 0`}},
		{"no number", run("--permits", "x", "--size", "8"), statusOwn, []string{`invalid argument "x" for "--permits"`}},
		{"owners", []string{"lock", "owners", "a", "--size", "-1"}, statusFailed, []string{`semaphore "a": a size of -1`}},
	} {
		c.check(t, shared.endpoint)
	}
	if keys := keysOf(t, shared.client, "modes/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// finish ends commands that are untilLine.
func finish(running ...*process) {
	for _, p := range running {
		p.t.Helper()
		p.say("end")
		if status := p.wait(); status != 0 {
			p.t.Errorf("status %d: %s", status, p.err.all())
		}
	}
}
