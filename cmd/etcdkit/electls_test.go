package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestElectListAndCompletion(t *testing.T) {
	t.Parallel()
	args := func(more ...string) []string { return append([]string{"elect", "--prefix", "listed"}, more...) }
	leader := candidateFor(t, "app/one", "--prefix", "listed", "--label", "job=42")
	n := token(t, leader.await("started"))
	waiter := candidateFor(t, "app/one", "--prefix", "listed", "--value", "two\nlines")
	waiter.awaitNote("waiting")
	awaitOutput(t, args("candidates", "app/one"), `(?m)^waits `)
	host, pid := hostname(t), leader.cmd.Process.Pid
	list := succeed(t, args("ls")...)
	if want := fmt.Sprintf(`^NAME +WAITERS +LEADER +HOST .*\napp/one +1 +%s/%d +%s +%d +\S+ +%d +job=42\n$`, host, pid, host, pid, n); !regexp.MustCompile(want).MatchString(list) {
		t.Errorf("ls:\n%s", list)
	}
	var infos []struct {
		Name    string
		Waiters int
		Leader  stander
	}
	decode(t, succeed(t, args("ls", "-o", "json")...), &infos)
	if len(infos) != 1 || infos[0].Waiters != 1 || infos[0].Leader.PID != pid || *infos[0].Leader.Value != fmt.Sprintf("%s/%d", host, pid) {
		t.Errorf("ls: %+v", infos)
	}
	var all []candidate
	decode(t, succeed(t, args("candidates", "app/one", "-o", "json")...), &all)
	if len(all) != 2 || all[1].Leader || *all[1].Value != "two\nlines" || all[1].PID != waiter.cmd.Process.Pid {
		t.Fatalf("candidates: %+v", all)
	}
	succeed(t, args("transfer", "app/one", all[1].ID)...) // what cannot be typed has an ID
	waiter.await("started")
	old := awaitOutput(t, args("candidates", "app/one", "-o", "json"), `"leader":false`)
	decode(t, old, &all)
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"run", ""}, "app/one\n:4\n"},
		{[]string{"resign", "app"}, "app/one\n:4\n"},
		{[]string{"watch", "b"}, ":4\n"},
		{[]string{"transfer", "app/one", ""}, *all[1].Value + "\n:4\n"},
		{[]string{"transfer", "app/one", "two"}, ":4\n"},
	} {
		if stdout, _, status := etcdkit(t, append([]string{"__complete"}, args(c.words...)...)...); status != 0 || stdout != c.want {
			t.Errorf("%q: status %d, %q, want %q", c.words, status, stdout, c.want)
		}
	}
}

func TestElectWatch(t *testing.T) {
	t.Parallel()
	plain := launch(t, nil, elect("watch", "watched")...)
	coded := launch(t, nil, elect("watch", "watched", "-o", "json")...)
	plain.await("nobody leads")
	coded.await(`{"leader":null}`)
	c := standing(t, "watched", "ann", "bea")
	plain.await("led by ann, token ")
	coded.await(`"value":"ann"`)
	c[0].say("end")
	plain.await("led by bea, token ")
	coded.await(`"value":"bea"`)
	c[1].say("end")
	plain.await("nobody leads")
	coded.await(`{"leader":null}`)
	for p, sig := range map[*process]syscall.Signal{plain: syscall.SIGINT, coded: syscall.SIGTERM} {
		p.signal(sig)
		if status := p.wait(); status != 0 || p.err.all() != "" {
			t.Errorf("status %d after %v: %s", status, sig, p.err.all())
		}
		certain := strings.Split(strings.TrimSpace(p.out.all()), "\n")
		certain = slices.DeleteFunc(certain, func(line string) bool { // etcd may be slow for a moment
			return strings.Contains(line, "not certain") || strings.Contains(line, "stale_since")
		})
		if len(certain) != 4 {
			t.Errorf("%d lines: %s", len(certain), p.out.all())
		}
	}
}
