package main

import (
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// newMute is an etcd that can be connected to and answers nothing.
func newMute(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		<-stream.Context().Done()
		return stream.Context().Err()
	}))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until it is stopped
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return listener.Addr().String()
}

// newFrozen is an etcd that is not even connected to: only its kernel accepts connections.
func newFrozen(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// slack is what a machine that is busy with other tests may add to a bound.
const slack = 2 * time.Second

func TestWaitIsKeptWhenEtcdIsSilent(t *testing.T) {
	t.Parallel()
	mute, frozen := newMute(t), newFrozen(t)
	for _, c := range []struct {
		name   string
		args   []string
		bound  time.Duration // and a second to clean up
		status int
		says   string
	}{
		{"mute", []string{"--endpoints", mute, "--wait", "500ms"}, 500 * time.Millisecond, statusNotFree, "no answer from etcd at " + mute + " within 500ms"},
		{"frozen", []string{"--endpoints", frozen, "--wait", "500ms"}, 500 * time.Millisecond, statusNotFree, "no answer from etcd at " + frozen + " within 500ms"},
		{"with user", []string{"--endpoints", mute, "--user", "a:b", "--wait", "500ms"}, 500 * time.Millisecond, statusNotFree, "no answer from etcd"},
		{"try", []string{"--endpoints", mute, "--command-timeout", "500ms", "--try"}, 500 * time.Millisecond, statusOwn, "no answer from etcd at " + mute},
		{"try frozen", []string{"--endpoints", frozen, "--dial-timeout", "500ms", "--try"}, 500 * time.Millisecond, statusOwn, "no connection within 500ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			stdout, stderr, status := etcdkit(t, append(append([]string{"lock", "run", "a"}, c.args...), "--", "echo", "ran")...)
			took := time.Since(began)
			if status != c.status || stdout != "" || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, %q, %q", status, stdout, stderr)
			}
			if took < c.bound || took > c.bound+closeTime+slack {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestCandidateSaysThatEtcdIsSilent: it does not wait for ever without a word.
func TestCandidateSaysThatEtcdIsSilent(t *testing.T) {
	t.Parallel()
	mute := newMute(t)
	flags := slices.Clip([]string{"--endpoints", mute, "--command-timeout", "500ms", "elect"})
	says := []string{"no answer from etcd at " + mute + " within 500ms"}
	for _, c := range []complaint{
		{"run", append(flags, "a", "--", "echo"), statusOwn, says},
		{"watch", append(flags, "watch", "a"), statusFailed, says},
		{"transfer", append(flags, "transfer", "a", "b"), statusFailed, says},
	} {
		c.checkAlone(t)
	}
}

// TestWaitIsKeptWhenEtcdFreezes stops the process of etcd while one waits in line.
func TestWaitIsKeptWhenEtcdFreezes(t *testing.T) {
	t.Parallel()
	const wait = 3 * time.Second
	etcd, endpoint := startDev(t, t.TempDir())
	holder := launch(t, nil, append([]string{"--endpoints", endpoint, "lock", "freezes", "--ttl", "2s", "--grace", "0s"}, untilLine...)...)
	holder.await("started")
	began := time.Now()
	waiter := launch(t, nil, "--endpoints", endpoint, "lock", "freezes", "--wait", wait.String(), "--", "echo", "ran")
	waiter.awaitNote("waiting")
	etcd.signal(syscall.SIGSTOP)
	if status := waiter.wait(); status != statusNotFree || waiter.out.all() != "" {
		t.Errorf("status %d: %s", status, waiter.err.all())
	}
	if took := time.Since(began); took < wait || took > wait+closeTime+slack {
		t.Errorf("took %v", took)
	}
	waiter.awaitNote(`not free within 3s: lock "freezes": held by`)
	holder.awaitNote("(no answer from etcd at " + endpoint + "); ending sh")
	if status := holder.wait(); status != statusLost {
		t.Errorf("the holder: status %d: %s", status, holder.err.all())
	}
}
