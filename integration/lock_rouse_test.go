package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
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

// In the long run a hand-over takes a put, a release and a touch, and nobody reads the line again.
func TestWaitersAreTold(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	a, b := lock.NewSemaphore(open(t, c.Client(t), "p"), "x", 1), lock.NewSemaphore(open(t, c.Client(t), "p"), "x", 1)
	ctx := soon(t)
	h := mustTake(t, permits(a, 1))
	for {
		before, held := c.Requests("Txn"), make(chan *lock.Hold, 1)
		go func() { h, _ := b.Acquire(ctx, 1); held <- h }()
		awaitKeys(t, c.Client(t), a.Key()+"/", 2)
		mustUnlock(t, h)
		h = next(t, held)
		if c.Requests("Txn")-before == 3 {
			break
		}
		a, b = b, a
		if ctx.Err() != nil {
			t.Fatal("nobody was ever told")
		}
	}
	mustUnlock(t, h)
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
