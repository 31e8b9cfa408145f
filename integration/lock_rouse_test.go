package integration

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// touch matches the request by which who releases permits tells who holds from then on.
func touch(method string, req any) bool {
	txn, ok := req.(*pb.TxnRequest)
	return ok && len(txn.Success) == 1 && txn.Success[0].GetRequestPut().GetIgnoreValue()
}

// handOn lets the waiter in: it is in line before the holder lets go.
func handOn(t *testing.T, h *lock.Hold, line int, waiter *lock.Semaphore) *lock.Hold {
	t.Helper()
	held := make(chan *lock.Hold, 1)
	go func() { h, _ := waiter.Acquire(soon(t), 1); held <- h }()
	awaitKeys(t, cluster.Shared(t), waiter.Key()+"/", line)
	mustUnlock(t, h)
	return next(t, held)
}

// untilTold hands the semaphore from session to session until one is told that it is its turn: there is a put, a release and a touch
// then, and the line is not read again.
func untilTold(t *testing.T, c *cluster.Cluster, a, b *lock.Semaphore) {
	t.Helper()
	ctx := soon(t)
	h := mustTake(t, permits(a, 1))
	for ctx.Err() == nil {
		before, held := c.Requests("Txn"), make(chan *lock.Hold, 1)
		go func() { h, _ := b.Acquire(ctx, 1); held <- h }()
		awaitKeys(t, c.Admin(), a.Key()+"/", 2)
		mustUnlock(t, h)
		h = next(t, held)
		if c.Requests("Txn")-before == 3 {
			mustUnlock(t, h)
			return
		}
		mustUnlock(t, h)
		h = mustTake(t, permits(a, 1))
	}
	t.Fatal("nobody was ever told")
}

func TestWaitersAreTold(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	untilTold(t, c, lock.NewSemaphore(open(t, c.Client(t), "p"), "x", 1), lock.NewSemaphore(open(t, c.Client(t), "p"), "x", 1))
}

// deafStream is a stream of which nothing comes any more from a moment on, though it does not end.
type deafStream struct {
	grpc.ClientStream
	deaf func() bool
}

func (s deafStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && s.deaf() {
		<-s.Context().Done()
		return context.Cause(s.Context())
	}
	return err
}

// A stream that goes silent is given up by those who wait to be told, though it does not end.
func TestADeafBellIsReplaced(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	var silent atomic.Bool
	client := c.Client(t, func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				stream, err := streamer(ctx, desc, cc, method, opts...)
				late := silent.Load()
				return deafStream{stream, func() bool { return silent.Load() && !late && strings.HasSuffix(method, "/Watch") }}, err
			}))
	})
	a, b := lock.NewSemaphore(open(t, c.Client(t), "p"), "x", 1), lock.NewSemaphore(open(t, client, "p"), "x", 1)
	untilTold(t, c, a, b)
	silent.Store(true)
	untilTold(t, c, a, b)
}

// Whether a touch fails, comes late or its reply is lost: the next one holds, once, and what he holds is as good as any.
func TestNobodyReliesOnBeingTold(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	client, faults := interceptedClient(t)
	a := lock.NewSemaphore(open(t, client, prefix), "x", 1)
	b := sem(t, prefix, 1)
	for _, fault := range []func() *cluster.Fault{
		func() *cluster.Fault { return faults.FailBefore(touch, errors.New("no")) },
		func() *cluster.Fault { return faults.LoseReply(touch) },
		func() *cluster.Fault { return faults.SendLate(touch) },
		func() *cluster.Fault { return faults.FailBefore(touch, errors.New("no, again")) },
	} {
		happens := fault()
		held := handOn(t, mustTake(t, permits(a, 1)), 2, b)
		happens.Await()
		_ = happens.Release() // what was to come late comes now, to who holds
		_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
			stm.Put(prefix+"/result", "done")
			return held.CheckSTM(stm)
		}, concurrency.WithAbortContext(soon(t)))
		must(t, err)
		resp, err := client.Txn(soon(t)).If(held.Guard()).Commit()
		if must(t, err); !resp.Succeeded {
			t.Error("the guard of a hold is false")
		}
		mustUnlock(t, held)
	}
	awaitNoKeys(t, client, a.Key()+"/")
}

// A holder that is lost tells nobody; who waits for its permits gets them all the same, also in the first moments of his wait.
func TestPermitsOfWhoTellsNobody(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	b := sem(t, prefix, 1)
	for range 3 {
		a := sem(t, prefix, 1)
		h := mustTake(t, permits(a, 1))
		held := make(chan *lock.Hold, 1)
		go func() { h, _ := b.Acquire(soon(t), 1); held <- h }()
		awaitKeys(t, client, a.Key()+"/", 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := client.Delete(ctx, keyOf(h))
		cancel()
		must(t, err)
		mustUnlock(t, next(t, held))
	}
	awaitNoKeys(t, client, b.Key()+"/")
}

// warm hands a semaphore to b and back often enough for b to be told when its turn comes.
func warm(t *testing.T, a, b *lock.Semaphore) {
	t.Helper()
	for range 5 {
		mustUnlock(t, handOn(t, mustTake(t, permits(a, 1)), 2, b))
	}
}

// Between a touch and the moment at which its waiter learns of it the key can be deleted, and somebody else hold.
func TestATouchAloneIsNoProof(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	client, faults := interceptedClient(t)
	a, b, c := sem(t, prefix, 1), lock.NewSemaphore(open(t, client, prefix), "x", 1), sem(t, prefix, 1)
	warm(t, a, b)
	h := mustTake(t, permits(a, 1))
	reply, held := faults.HoldReply(puts(b.Key())), make(chan *lock.Hold, 1)
	go func() { h, _ := b.Acquire(soon(t), 1); held <- h }()
	awaitKeys(t, client, b.Key()+"/", 2)
	mustUnlock(t, h)
	awaitKeys(t, client, b.Key()+"/", 1)
	waiting := keys(t, client, b.Key()+"/")[0]
	eventually(t, "a touch", func() bool {
		resp, err := client.Get(soon(t), waiting)
		must(t, err)
		return resp.Kvs[0].ModRevision > resp.Kvs[0].CreateRevision
	})
	_, err := client.Delete(soon(t), waiting)
	must(t, err)
	h = mustTake(t, permits(c, 1))
	must(t, reply.Release())
	awaitKeys(t, client, b.Key()+"/", 2) // it queues again
	mustUnlock(t, h)
	mustUnlock(t, next(t, held))
}

// A touch changes when a key was last written. What somebody else has put in its place is not taken for that.
func TestCheckSTMAfterATouch(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	h := mustTake(t, permits(sem(t, prefix, 1), 1))
	_, err := client.Delete(soon(t), keyOf(h))
	must(t, err)
	put(t, client, keyOf(h), "junk")
	_, err = concurrency.NewSTM(client, func(stm concurrency.STM) error {
		stm.Put(prefix+"/result", "done")
		return h.CheckSTM(stm)
	}, concurrency.WithAbortContext(soon(t)))
	if !errors.Is(err, session.ErrLost) {
		t.Errorf("a transaction of a hold that is gone: %v", err)
	}
	_ = h.Unlock(soon(t))
	_, err = client.Delete(soon(t), keyOf(h))
	must(t, err)
}
