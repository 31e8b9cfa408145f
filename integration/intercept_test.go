package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"etcdkit/integration/cluster"
)

// interceptedClient returns a client of the shared cluster whose requests go wrong on demand.
func interceptedClient(t *testing.T) (*clientv3.Client, *cluster.Faults) {
	t.Helper()
	faults := cluster.NewFaults(t)
	return cluster.Shared(t, func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, faults.DialOption())
	}), faults
}

// closed reports whether a channel is closed.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestLoseReply(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	key := cluster.Prefix(t) + "/key"
	fault := faults.LoseReply(cluster.Method("Put"))
	if closed(fault.Happened()) {
		t.Error("it happened before any request")
	}
	if _, err := client.Put(t.Context(), key, "1"); status.Code(err) != codes.Unavailable {
		t.Errorf("put = %v, want Unavailable", err)
	}
	fault.Await()
	if err := fault.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if got := value(t, client, key); got != "1" {
		t.Errorf("the put whose reply was lost left %q", got)
	}
	put(t, client, key, "2") // once only
}

func TestFailBefore(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	key, because := cluster.Prefix(t)+"/key", errors.New("because")
	fault := faults.FailBefore(cluster.Method("Put"), because)
	if _, err := client.Put(t.Context(), key, "1"); !errors.Is(err, because) {
		t.Errorf("put = %v", err)
	}
	fault.Await()
	if got := value(t, client, key); got != "" {
		t.Errorf("the put that was not sent left %q", got)
	}
}

func TestSendLate(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	key := cluster.Prefix(t) + "/key"
	fault := faults.SendLate(cluster.Method("Txn"))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).Then(clientv3.OpPut(key, "late")).Commit()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("commit = %v, want Unavailable", err)
	}
	cancel() // the caller has given up altogether
	fault.Await()
	if got := value(t, client, key); got != "" {
		t.Errorf("before it was sent: %q", got)
	}
	if err := fault.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if got := value(t, client, key); got != "late" {
		t.Errorf("after it was sent: %q", got)
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	key := cluster.Prefix(t) + "/key"
	fault := faults.Hold(cluster.Method("Put"))
	done := make(chan error, 1)
	go func() {
		_, err := client.Put(t.Context(), key, "1")
		done <- err
	}()
	fault.Await()
	if got := value(t, client, key); got != "" {
		t.Errorf("while it was held: %q", got)
	}
	if err := fault.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("the caller got %v", err)
	}
	if got := value(t, client, key); got != "1" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestHoldReply(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	key := cluster.Prefix(t) + "/key"
	fault := faults.HoldReply(cluster.Method("Put"))
	_, err := client.Put(within(t, 200*time.Millisecond), key, "1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put = %v, want its deadline", err)
	}
	if err := fault.Release(); err != nil {
		t.Errorf("the server answered %v", err)
	}
	if got := value(t, client, key); got != "1" {
		t.Errorf("the put whose reply was held left %q", got)
	}
}

func TestFaultsAreTakenInOrder(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix, first, second := cluster.Prefix(t), errors.New("first"), errors.New("second")
	faults.FailBefore(cluster.Method("/etcdserverpb.KV/Put"), first)
	faults.FailBefore(cluster.Method("Put"), second)
	for _, want := range []error{first, second, nil} {
		if _, err := client.Put(t.Context(), prefix+"/key", ""); !errors.Is(err, want) {
			t.Errorf("put = %v, want %v", err, want)
		}
	}
}

// recorder is a TB that keeps what would fail the test.
type recorder struct {
	testing.TB
	failures int
	cleanups []func()
}

func (r *recorder) Errorf(string, ...any) { r.failures++ }
func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }

func TestAFaultThatDidNotHappenFailsTheTest(t *testing.T) {
	t.Parallel()
	tb := &recorder{TB: t}
	faults := cluster.NewFaults(tb)
	faults.LoseReply(cluster.Method("Put"))
	for _, f := range tb.cleanups {
		f()
	}
	if tb.failures != 1 {
		t.Errorf("%d failures, want 1", tb.failures)
	}
}
