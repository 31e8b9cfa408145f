package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"
)

// standing launches candidates of those values, each when the one before is in the line.
func standing(t *testing.T, name string, values ...string) (candidates []*process) {
	t.Helper()
	for i, value := range values {
		p := candidateFor(t, name, "--prefix", "moved", "--value", value)
		if i == 0 {
			p.await("started")
		}
		awaitOutput(t, []string{"elect", "--prefix", "moved", "candidates", name}, `(?m)^\w+ +\S+ +`+value+` `)
		candidates = append(candidates, p)
	}
	return candidates
}

func elect(args ...string) []string { return append([]string{"elect", "--prefix", "moved"}, args...) }

func TestTransfer(t *testing.T) {
	t.Parallel()
	c := standing(t, "transferred", "ann", "bea", "cid")
	if got := succeed(t, elect("transfer", "transferred", "cid")...); got != "transferred to cid\n" {
		t.Errorf("it says %q", got)
	}
	three := token(t, c[2].await("started"))
	c[0].awaitNote(`election "transferred": `)
	c[0].awaitNote(fmt.Sprintf("led by cid, token %d", three)) // it is in line again
	line := awaitOutput(t, elect("candidates", "transferred"), `^STATE .*\nleads .* cid .*\nwaits .*\nwaits .*\n$`)
	others := []*process{c[0], c[1]}
	if strings.Index(line, " bea ") < strings.Index(line, " ann ") { // both have queued again
		slices.Reverse(others)
	}
	complaint{"unknown", elect("transfer", "transferred", "dan"), statusFailed, []string{`election "transferred": transfer to "dan": no such candidate`}}.check(t, shared.endpoint)
	complaint{"the leader itself", elect("transfer", "transferred", "cid"), statusFailed, []string{"leads already"}}.check(t, shared.endpoint)
	finish(c[2])
	for _, next := range others {
		next.await("started")
		finish(next)
	}
	if keys := keysOf(t, shared.client, "moved/election/transferred/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

func TestTransferPastAnother(t *testing.T) {
	t.Parallel()
	standing(t, "foreign", "ann")
	s, err := concurrency.NewSession(shared.client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	campaigned := make(chan error, 1)
	theirs := concurrency.NewElection(s, "moved/election/foreign/@")
	go func() { campaigned <- theirs.Campaign(t.Context(), "theirs") }()
	awaitOutput(t, elect("candidates", "foreign"), `(?m)^waits .* theirs +0 +- +- `)
	candidateFor(t, "foreign", "--prefix", "moved", "--value", "bea")
	awaitOutput(t, elect("candidates", "foreign"), `(?m)^waits .* bea `)
	complaint{"past it", elect("transfer", "foreign", "bea"), statusFailed, []string{`transfer to "bea"`, "not of this kit"}}.check(t, shared.endpoint)
	succeed(t, elect("transfer", "foreign", "theirs")...)
	if err := <-campaigned; err != nil {
		t.Error(err)
	}
}

// TestResign: the leader's command is told, killed when its grace is over, and only then the next one leads. The command starts again in
// a later term.
func TestResign(t *testing.T) {
	t.Parallel()
	first := launch(t, nil, "elect", "--prefix", "moved", "resigned", "--grace", "300ms", "--", "sh", "-c", `
		trap "echo told" TERM
		echo started $ETCDKIT_TOKEN
		`+untilTold)
	one := token(t, first.await("started"))
	next := candidateFor(t, "resigned", "--prefix", "moved", "--value", "next")
	next.awaitNote("waiting")
	awaitOutput(t, elect("candidates", "resigned"), `(?m)^waits .* next `)
	began := time.Now()
	if got := succeed(t, elect("resign", "resigned")...); got != "resigned\n" {
		t.Errorf("it says %q", got)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("resigned after %v, before the grace was over", took)
	}
	first.await("told")
	first.awaitNote("; ending sh")
	first.awaitNote("killing sh, which did not end within 300ms")
	two := token(t, next.await("started"))
	first.awaitNote(fmt.Sprintf("led by next, token %d", two))
	finish(next)
	if three := token(t, first.await("started")); two <= one || three <= two {
		t.Errorf("tokens %d, %d, %d", one, two, three)
	}
}

// TestLeaderTakesItsTime: the one who asks does not wait for ever, and says that it is not etcd that has not answered.
func TestLeaderTakesItsTime(t *testing.T) {
	t.Parallel()
	leader := launch(t, nil, "elect", "--prefix", "moved", "slow", "--grace", "1h", "--", "sh", "-c", `
		trap "echo told" TERM
		echo started
		`+untilTold)
	leader.await("started")
	args := elect("resign", "slow", "--command-timeout", "1s")
	complaint{"slow", args, statusFailed, []string{`election "slow": the leader has not done it within --command-timeout 1s`}}.checkAlone(t)
	leader.await("told")
}

func TestNobodyLeads(t *testing.T) {
	t.Parallel()
	for _, c := range []complaint{
		{"resign", elect("resign", "empty"), statusNobody, []string{`election "empty": resign: nobody leads`}},
		{"transfer", elect("transfer", "empty", "ann"), statusNobody, []string{`election "empty": transfer to "ann": nobody leads`}},
	} {
		c.check(t, shared.endpoint)
	}
	if got := succeed(t, elect("candidates", "empty", "-o", "json")...); got != "[]\n" {
		t.Errorf("candidates: %q", got)
	}
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	low := candidateFor(t, "ranked", "--prefix", "moved", "--priority", "1", "--preempt")
	low.await("started")
	high := candidateFor(t, "ranked", "--prefix", "moved", "--priority", "2", "--value", "high")
	high.await("started")
	low.awaitNote("led by high")
	if got := succeed(t, elect("candidates", "ranked")...); !regexp.MustCompile(`(?m)^leads +\S+\+2 +high +2 `).MatchString(got) {
		t.Errorf("candidates:\n%s", got)
	}
}
