package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/election"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

func TestListOfElections(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a := open(t, client, prefix, session.WithLabels(map[string]string{"who": "a"}))
	if list, err := election.List(soon(t), a); err != nil || len(list) != 0 {
		t.Errorf("List of nothing = %v, %v", list, err)
	}
	jobs := mustCampaign(t, election.New(a, "jobs", election.WithValue("v"), election.WithPriority(3)))
	mustCampaign(t, election.New(a, "jobs/1 %@é"))
	campaigning(t, election.New(open(t, client, prefix), "jobs", election.WithPriority(7)))
	put(t, client, prefix+"/election/jobs/@.request", "no candidate")
	list, err := election.List(soon(t), open(t, client, prefix))
	if err != nil || len(list) != 2 {
		t.Fatalf("List = %+v, %v", list, err)
	}
	if l := list[0]; l.Name != "jobs" || l.Waiters != 1 || l.Leader.Token != jobs.Token() || l.Leader.Value != "v" || l.Leader.Labels["who"] != "a" {
		t.Errorf("first %+v", l)
	}
	if l := list[1]; l.Name != "jobs/1 %@é" || l.Waiters != 0 || !strings.Contains(l.Leader.Value, "/") {
		t.Errorf("second %+v", l)
	}
	candidates, err := election.New(a, "jobs").Candidates(soon(t))
	if err != nil || len(candidates) != 2 {
		t.Fatalf("Candidates = %+v, %v", candidates, err)
	}
	c := candidates
	if !c[0].Leader || c[1].Leader || c[0].Priority != 3 || c[1].Priority != 7 || c[0].Labels["who"] != "a" || c[0].ID != list[0].Leader.ID {
		t.Errorf("Candidates = %+v", c)
	}
}

// What cannot be asked is refused at once, and leaves nothing behind.
func TestRequestsThatCannotBe(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	their := theirSession(t, client)
	key := election.New(s, "x").Key()
	must(t, concurrency.NewElection(their, key).Campaign(soon(t), "foreign"))
	if err := election.RequestResign(soon(t), s, "x"); !errors.Is(err, election.ErrForeignLeader) {
		t.Errorf("of a foreign leader: %v", err)
	}
	must(t, their.Close())
	term := mustCampaign(t, election.New(s, "x", election.WithValue("a")))
	ahead := theirSession(t, client)
	go func() { _ = concurrency.NewElection(ahead, key).Campaign(soon(t), "foreign") }()
	e := election.New(s, "x", election.WithValue("b"))
	eventually(t, "the foreign one stands in line", func() bool { l, _ := e.Candidates(soon(t)); return len(l) == 2 })
	campaigning(t, e)
	for candidate, want := range map[string]error{
		"a": election.ErrLeading, "b": election.ErrForeignAhead, "c": election.ErrUnknownCandidate, "": election.ErrUnknownCandidate,
	} {
		if err := election.RequestTransfer(soon(t), s, "x", candidate); !errors.Is(err, want) {
			t.Errorf("to %q: %v, want %v", candidate, err, want)
		}
	}
	if err := election.RequestResign(soon(t), s, "a//b"); !errors.Is(err, session.ErrBadName) {
		t.Errorf("of a bad name: %v", err)
	}
	if term.Err() != nil || value(t, client, key+".request") != "" {
		t.Errorf("left behind: %v, %q", term.Err(), value(t, client, key+".request"))
	}
}

// The leader may learn only after the asker has looked that it cannot do what it is asked.
func TestTheLeaderRefuses(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	e := election.New(open(t, client, prefix), "x")
	term := mustCampaign(t, e)
	lease := mustLease(t, open(t, client, prefix)).ID()
	ask := func(text string) string {
		t.Helper()
		_, err := client.Put(soon(t), e.Key()+".request", text, clientv3.WithLease(lease))
		must(t, err)
		var got string
		eventually(t, "the leader answers", func() bool {
			got = value(t, client, e.Key()+".request")
			return strings.Contains(got, "refused")
		})
		return got
	}
	if got := ask(`{"v":1,"id":"1","term":7,"by":"me"}`); !strings.Contains(got, "another term") {
		t.Errorf("a request for another term: %s", got)
	}
	if got := ask(fmt.Sprintf(`{"v":1,"id":"2","term":%d,"to":"nobody","by":"me"}`, term.Token())); !strings.Contains(got, "no such candidate") {
		t.Errorf("a request for nobody: %s", got)
	}
	put(t, client, e.Key()+".request", "junk")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := election.RequestResign(ctx, open(t, client, prefix), "x")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), e.Key()+".request") {
		t.Errorf("behind junk: %v", err)
	}
	if term.Err() != nil {
		t.Error(term.Err())
	}
	_, err = client.Delete(soon(t), e.Key()+".request")
	must(t, err)
	must(t, election.RequestResign(soon(t), open(t, client, prefix), "x"))
	if !errors.Is(context.Cause(term.Context()), session.ErrReleased) {
		t.Errorf("the term ended with %v", context.Cause(term.Context()))
	}
}

// Who asks and gives up takes the request away, and says that it may have been heard.
func TestARequestIsTakenBack(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	e := election.New(open(t, client, prefix), "x")
	began, stubborn := make(chan struct{}, 10), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- e.Run(soon(t), func(context.Context, *election.Term) error {
			began <- struct{}{}
			<-stubborn
			return errOfFunction
		})
	}()
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := election.RequestResign(ctx, open(t, client, prefix), "x")
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, session.ErrUncertain) {
		t.Errorf("RequestResign = %v", err)
	}
	awaitNoKeys(t, client, e.Key()+".request")
	close(stubborn)
	if err := <-ended; !errors.Is(err, errOfFunction) { // of this term or, if the leader had heard of it, of the next
		t.Errorf("Run = %v", err)
	}
}

// Several ask at once: each gets an answer.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	const n = 5
	var runs []*running
	for i := range n {
		runs = append(runs, startRun(t, election.New(open(t, client, prefix), "x", election.WithValue(fmt.Sprint("c", i)))))
	}
	e := election.New(open(t, client, prefix), "x")
	eventually(t, "all stand in line", func() bool { l, _ := e.Candidates(soon(t)); return len(l) == n })
	answers := make(chan error, n)
	for i := range n {
		s := open(t, client, prefix)
		go func() { answers <- election.RequestTransfer(soon(t), s, "x", fmt.Sprint("c", i)) }()
	}
	for range n {
		err := <-answers
		for _, want := range []error{election.ErrLeading, election.ErrUnknownCandidate, election.ErrRefused, election.ErrNoLeader} {
			if errors.Is(err, want) { // it leads by now, or was passed over a moment ago
				err = nil
			}
		}
		must(t, err)
	}
	awaitNoKeys(t, client, e.Key()+".request")
	for _, r := range runs {
		r.cancel()
		if err := r.returned(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	}
}
