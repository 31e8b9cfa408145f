package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

func hostname(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func TestOwnersListAndBreak(t *testing.T) {
	t.Parallel()
	lockArgs := func(args ...string) []string { return append([]string{"lock", "--prefix", "admin"}, args...) }
	holder := launch(t, nil, append(lockArgs("run", "shown", "--label", "job=42", "--label", "team=a"), untilLine...)...)
	n := token(t, holder.await("started"))
	waiter := launch(t, nil, append(lockArgs("run", "shown"), untilLine...)...)
	waiter.awaitNote("waiting")
	host, pid := hostname(t), holder.cmd.Process.Pid

	owners := awaitOutput(t, lockArgs("owners", "shown"), `(?m)^waits`)
	want := fmt.Sprintf(`^STATE +AS +HOST +PID +SESSION SINCE +TOKEN +LABELS +KEY\nholds +writer +%s +%d +\S+ +%d +job=42,team=a +admin/lock/shown/@/\S+\n`+
		`waits +writer +%s +%d +\S+ +\d+ +- +admin/lock/shown/@/\S+\n$`, host, pid, n, host, waiter.cmd.Process.Pid)
	if !regexp.MustCompile(want).MatchString(owners) {
		t.Errorf("owners:\n%s", owners)
	}
	list := succeed(t, lockArgs("ls")...)
	if want := fmt.Sprintf(`^NAME .*\nshown +1 +%s +%d +\S+ +%d +job=42,team=a\n$`, host, pid, n); !regexp.MustCompile(want).MatchString(list) {
		t.Errorf("ls:\n%s", list)
	}
	var infos []struct {
		Name    string
		Waiters int
		Holder  owner
	}
	decode(t, succeed(t, lockArgs("ls", "-o", "json")...), &infos)
	if len(infos) != 1 || infos[0].Waiters != 1 || infos[0].Holder.PID != pid || infos[0].Holder.Labels["job"] != "42" || !infos[0].Holder.Holder {
		t.Errorf("ls: %+v", infos)
	}

	if got, want := succeed(t, lockArgs("break", "shown")...), fmt.Sprintf("taken from %s, process %d, token %d\n", host, pid, n); got != want {
		t.Errorf("break printed %q, want %q", got, want)
	}
	if status := holder.wait(); status != statusLost {
		t.Errorf("the holder's status is %d: %s", status, holder.err.all())
	}
	if next := token(t, waiter.await("started")); next <= n {
		t.Errorf("token %d after %d", next, n)
	}
	waiter.say("end")
	waiter.wait()
	stdout, stderr, status := etcdkit(t, lockArgs("break", "shown")...)
	if status != statusNobody || stdout != "" || stderr != "etcdkit: lock \"shown\": nobody holds it\n" {
		t.Errorf("break of a free lock: status %d, %q, %q", status, stdout, stderr)
	}
	if got := succeed(t, lockArgs("owners", "shown", "-o", "json")...); got != "[]\n" {
		t.Errorf("owners of a free lock: %q", got)
	}
	if keys := keysOf(t, shared.client, "admin/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// awaitOutput runs a command until it prints what is wanted: a waiter says that it waits before its key is in the line.
func awaitOutput(t *testing.T, args []string, want string) string {
	t.Helper()
	for t.Context().Err() == nil {
		if out := succeed(t, args...); regexp.MustCompile(want).MatchString(out) {
			return out
		}
	}
	return ""
}

func TestBrokenHolderSaysWhy(t *testing.T) {
	t.Parallel()
	holder := launch(t, nil, "lock", "broken", "--grace", "0s", "--", "sh", "-c", `echo ready; read line`)
	holder.await("ready")
	succeed(t, "lock", "break", "broken")
	note := holder.awaitNote(`lock "broken": lost: the key was deleted by somebody else; ending sh`)
	if !strings.HasPrefix(note, "etcdkit: ") {
		t.Errorf("it says %q", note)
	}
	if status := holder.wait(); status != statusLost {
		t.Errorf("status %d", status)
	}
}
