package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"etcdkit/integration/cluster"
	"etcdkit/internal/retry"
)

// classed fails the test unless err has this class and contains each of these words.
func classed(t *testing.T, err error, want retry.Class, words ...string) {
	t.Helper()
	if got := retry.Of(err); got != want {
		t.Errorf("class of %q (%T) is %q, want %q", err, err, got, want)
	}
	for _, w := range words {
		if err != nil && !strings.Contains(err.Error(), w) {
			t.Errorf("error %q, want %q in it", err, w)
		}
	}
}

// left fails the test unless a key has this value now; "" means that it is absent.
func left(t *testing.T, client *clientv3.Client, key, want string) {
	t.Helper()
	if got := value(t, client, key); got != want {
		t.Errorf("%s is %.20q, want %.20q", key, got, want)
	}
}

func TestRetryClassOfADeadLease(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	lease, err := client.Grant(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Revoke(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}
	a, b := prefix+"/a", prefix+"/b"
	_, err = client.Put(t.Context(), a, "1", clientv3.WithLease(lease.ID))
	classed(t, err, retry.DidNot, "lease not found")
	_, err = client.Txn(t.Context()).Then(clientv3.OpPut(a, "1"), clientv3.OpPut(b, "1", clientv3.WithLease(lease.ID))).Commit()
	classed(t, err, retry.DidNot, "lease not found")
	_, err = client.KeepAliveOnce(t.Context(), lease.ID)
	classed(t, err, retry.DidNot, "lease not found")
	_, err = client.Revoke(t.Context(), lease.ID)
	classed(t, err, retry.DidNot, "lease not found")
	left(t, client, a, "")
	left(t, client, b, "")
}

func TestRetryClassOfBadRequests(t *testing.T) {
	t.Parallel()
	client, key := cluster.Shared(t), cluster.Prefix(t)+"/key"
	var many []clientv3.Op
	for i := range 129 {
		many = append(many, clientv3.OpPut(fmt.Sprint(key, i), ""))
	}
	tests := []struct {
		name string
		op   clientv3.Op
		word string
	}{
		{"above the request limit", clientv3.OpPut(key, string(make([]byte, 1700<<10))), "request is too large"},
		{"above the client's send limit", clientv3.OpPut(key, string(make([]byte, 3<<20))), "trying to send message larger than max"},
		{"empty key", clientv3.OpPut("", ""), "key is not provided"},
		{"too many operations", clientv3.OpTxn(nil, many, nil), "too many operations"},
		{"a key twice", clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut(key, ""), clientv3.OpPut(key, "")}, nil), "duplicate key"},
		{"future revision", clientv3.OpGet(key, clientv3.WithRev(1<<60)), "future revision"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := client.Do(t.Context(), test.op)
			classed(t, err, retry.Never, test.word)
			left(t, client, key, "")
		})
	}
}

// The same words come from the server, of a request, and from the client, of the answer to one that was applied.
func TestRetryClassOfReceiveLimits(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	all := cluster.Shared(t)

	sender := cluster.Shared(t, func(cfg *clientv3.Config) { cfg.MaxCallSendMsgSize = 8 << 20 })
	_, err := sender.Put(t.Context(), prefix+"/request", string(make([]byte, 3<<20)))
	classed(t, err, retry.Unknown, "received message larger than max")
	left(t, all, prefix+"/request", "")

	put(t, all, prefix+"/big", strings.Repeat("x", 8<<10))
	receiver := cluster.Shared(t, func(cfg *clientv3.Config) { cfg.MaxCallSendMsgSize, cfg.MaxCallRecvMsgSize = 1<<10, 4<<10 })
	_, err = receiver.Txn(t.Context()).Then(clientv3.OpPut(prefix+"/answer", "1"), clientv3.OpGet(prefix+"/big")).Commit()
	classed(t, err, retry.Unknown, "received message larger than max")
	left(t, all, prefix+"/answer", "1")
}

func TestRetryClassOfContexts(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Put(ended, prefix+"/ended", "1")
	classed(t, err, retry.Unknown, context.Canceled.Error())
	left(t, client, prefix+"/ended", "")

	fault := faults.HoldReply(cluster.Method("Put"))
	_, err = client.Put(within(t, 100*time.Millisecond), prefix+"/deadline", "1")
	classed(t, err, retry.Unknown, context.DeadlineExceeded.Error())
	fault.Await()
	left(t, client, prefix+"/deadline", "1")

	closing := cluster.Shared(t)
	put(t, closing, prefix+"/closing", "1")
	closing.Close()
	_, err = closing.Put(t.Context(), prefix+"/closing", "2")
	classed(t, err, retry.Unknown)
	left(t, client, prefix+"/closing", "1")
}

func TestRetryClassOfLostAndLateRequests(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)

	fault := faults.LoseReply(cluster.Method("Txn"))
	_, err := client.Txn(t.Context()).Then(clientv3.OpPut(prefix+"/lost", "1")).Commit()
	classed(t, err, retry.Unknown)
	fault.Await()
	left(t, client, prefix+"/lost", "1")

	fault = faults.SendLate(cluster.Method("Txn"))
	_, err = client.Txn(t.Context()).Then(clientv3.OpPut(prefix+"/late", "1")).Commit()
	classed(t, err, retry.Unknown)
	left(t, client, prefix+"/late", "")
	if err := fault.Release(); err != nil {
		t.Fatal(err)
	}
	left(t, client, prefix+"/late", "1")
}

func TestRetryClassOfCompaction(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	put(t, client, "key", "1")
	put(t, client, "key", "2")
	rev := c.Compact(t)
	_, err := client.Get(t.Context(), "key", clientv3.WithRev(rev-1))
	classed(t, err, retry.Never, "compacted")
	_, err = client.Compact(t.Context(), rev-1)
	classed(t, err, retry.Never, "compacted")
	classed(t, watchError(t, client, "key", clientv3.WithRev(1)), retry.Never, "compacted")
}

// A busy server says this with the code Unknown. To make it say so of itself takes 5,000 requests under way: an interceptor on
// the server returns what its handler would.
func TestRetryClassOfTooManyRequests(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1, func(cfg *embed.Config) {
		cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions, grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				if strings.HasSuffix(info.FullMethod, "/Put") {
					return nil, rpctypes.ErrTooManyRequests
				}
				return handle(ctx, req)
			}))
	})
	_, err := c.Client(t).Put(t.Context(), "key", "1")
	classed(t, err, retry.DidNot, "too many requests")
}

// Do goes on through an outage, and what it says when it gives up tells what was wrong.
func TestRetryDo(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	key := cluster.Prefix(t) + "/key"
	for range 3 {
		faults.FailBefore(cluster.Method("Put"), status.Error(codes.Unavailable, "first three"))
	}
	write := func(ctx context.Context) error { _, err := client.Put(ctx, key, "1"); return err }
	if err := retry.Do(within(t, 10*time.Second), write); err != nil {
		t.Errorf("Do = %v", err)
	}
	left(t, client, key, "1")

	dead := func(ctx context.Context) error {
		_, err := client.Put(ctx, key, "2", clientv3.WithLease(1))
		return err
	}
	err := retry.Do(within(t, 200*time.Millisecond), dead)
	if want := "context deadline exceeded (last: etcdserver: requested lease not found)"; err == nil || err.Error() != want {
		t.Errorf("Do = %v, want %v", err, want)
	}
	if class := retry.Of(err); class != retry.DidNot && class != retry.Unknown { // unknown if the end of ctx cut a try short
		t.Errorf("its class is %v", class)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("Do = %v, want both in it", err)
	}
}

// etcd's client sends a write again by itself when a server answers Canceled or DeadlineExceeded while the caller's context is
// alive. So a certain answer can belong to the second of two requests, of which the first happened.
func TestEtcdClientSendsAWriteTwice(t *testing.T) {
	t.Parallel()
	var once sync.Once
	c := cluster.New(t, 1, func(cfg *embed.Config) {
		cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions, grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				answer, err := handle(ctx, req)
				if strings.HasSuffix(info.FullMethod, "/Put") {
					once.Do(func() { answer, err = nil, status.Error(codes.DeadlineExceeded, "context deadline exceeded") })
				}
				return answer, err
			}))
	})
	client := c.Client(t)
	if _, err := client.Put(t.Context(), "key", "1"); err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get(t.Context(), "key")
	if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].Version != 2 {
		t.Errorf("one put left %v, %v: want version 2", resp, err)
	}
}
