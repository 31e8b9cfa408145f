package integration

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// faultyOf returns a client that is subject to the faults.
func faultyOf(t *testing.T, c *cluster.Cluster) (*clientv3.Client, *cluster.Faults) {
	t.Helper()
	faults := cluster.NewFaults(t)
	return c.Client(t, func(cfg *clientv3.Config) { cfg.DialOptions = append(cfg.DialOptions, faults.DialOption()) }), faults
}

// puts matches the transactions that put a key below the prefix.
func puts(prefix string) cluster.Match {
	return func(_ string, req any) bool {
		txn, ok := req.(*etcdserverpb.TxnRequest)
		return ok && putsIn(txn, prefix)
	}
}

func putsIn(txn *etcdserverpb.TxnRequest, prefix string) bool {
	for _, op := range txn.Success {
		if put := op.GetRequestPut(); put != nil && strings.HasPrefix(string(put.Key), prefix) {
			return true
		}
	}
	return false
}

// The answer to a turn is lost: the key of the next local caller is found and used.
func TestLostReplyOfATurn(t *testing.T) {
	t.Parallel()
	tests := map[string]func(f *cluster.Faults, key string) *cluster.Fault{
		"committed": func(f *cluster.Faults, key string) *cluster.Fault { return f.LoseReply(turns(key)) },
		"late":      func(f *cluster.Faults, key string) *cluster.Fault { return f.SendLate(turns(key)) },
		"not at all": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCNoLeader)
		},
		"no space": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCNoSpace)
		},
		"certain": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCRequestTooManyRequests)
		},
		"not allowed": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCPermissionDenied)
		},
	}
	for name, harm := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster.New(t, 1)
			client, faults := faultyOf(t, c)
			queued, trace := tellQueued()
			m := lock.NewMutex(open(t, client, "p", trace), "x")
			h := mustLock(t, m)
			fault := harm(faults, m.Key())
			held := make([]<-chan *lock.Hold, 3)
			for i := range held {
				held[i] = async(t, m)
				<-queued
			}
			mustUnlock(t, h)
			fault.Await()
			if name == "late" {
				if err := fault.Release(); err != nil {
					t.Fatal(err)
				}
			}
			last := session.Token(0)
			for _, one := range held {
				h := next(t, one)
				if h.Token() <= last || h.Err() != nil {
					t.Errorf("token %d after %d, Err %v", h.Token(), last, h.Err())
				}
				last = h.Token()
				mustUnlock(t, h)
			}
			awaitNoKeys(t, c.Admin(), m.Key())
		})
	}
}

// turns matches the transactions that pass a lock on.
func turns(prefix string) cluster.Match {
	return func(_ string, req any) bool {
		txn, ok := req.(*etcdserverpb.TxnRequest)
		return ok && len(txn.Success) == 3 && txn.Success[0].GetRequestDeleteRange() != nil && putsIn(txn, prefix)
	}
}

// resend is an option of a cluster: the server answers the first matching transaction with DeadlineExceeded after it was applied, upon which
// etcd's client, whose own context lives, sends it again by itself.
func resend(happened *atomic.Int32, match cluster.Match) func(*embed.Config) {
	return func(cfg *embed.Config) {
		cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions, grpc.ChainUnaryInterceptor(
			func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				answer, err := handle(ctx, req)
				if match(info.FullMethod, req) && happened.Add(1) == 1 {
					return nil, status.Error(codes.DeadlineExceeded, "context deadline exceeded")
				}
				return answer, err
			}))
	}
}

// A write that etcd's client sends twice is found to have happened the first time.
func TestAWriteThatWasSentTwice(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]cluster.Match{"acquire": puts("p/lock/"), "turn": turns("p/lock/")} {
		for how, take := range map[string]func(*lock.Mutex, context.Context) (*lock.Hold, error){"Lock": (*lock.Mutex).Lock, "TryLock": (*lock.Mutex).TryLock} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				var happened atomic.Int32
				c := cluster.New(t, 1, resend(&happened, match))
				queued, trace := tellQueued()
				m := lock.NewMutex(open(t, c.Client(t), "p", trace), "x")
				h, err := take(m, soon(t))
				if err != nil {
					t.Fatal(err)
				}
				held := async(t, m)
				<-queued
				mustUnlock(t, h)
				h = next(t, held)
				if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 || h.Err() != nil {
					t.Errorf("keys %v, Err %v", ks, h.Err())
				}
				mustUnlock(t, h)
				if happened.Load() < 2 {
					t.Error("nothing was sent twice")
				}
				awaitNoKeys(t, c.Admin(), m.Key())
			})
		}
	}
}

// The same where others may hold beside: the second copy finds room, too.
func TestAWriteThatWasSentTwiceWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*session.Session, context.Context) (*lock.Hold, error){
		"RLock": func(s *session.Session, ctx context.Context) (*lock.Hold, error) {
			return lock.NewRWMutex(s, "x").RLock(ctx)
		},
		"TryRLock": func(s *session.Session, ctx context.Context) (*lock.Hold, error) {
			return lock.NewRWMutex(s, "x").TryRLock(ctx)
		},
		"Acquire": func(s *session.Session, ctx context.Context) (*lock.Hold, error) {
			return lock.NewSemaphore(s, "x", 9).Acquire(ctx, 2)
		},
		"TryAcquire": func(s *session.Session, ctx context.Context) (*lock.Hold, error) {
			return lock.NewSemaphore(s, "x", 9).TryAcquire(ctx, 2)
		},
	}
	for how, take := range ways {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			kind := "p/lock/"
			if strings.Contains(how, "Acquire") {
				kind = "p/semaphore/"
			}
			var happened atomic.Int32
			c := cluster.New(t, 1, resend(&happened, puts(kind)))
			h, err := take(open(t, c.Client(t), "p"), soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if happened.Load() < 2 {
				t.Error("nothing was sent twice")
			}
			resp, err := c.Admin().Txn(soon(t)).If(h.Guard()).Then(clientv3.OpPut("p/data", "")).Commit()
			if err != nil || !resp.Succeeded {
				t.Errorf("a write under the guard: %v, %v", resp, err)
			}
			mustUnlock(t, h)
			awaitNoKeys(t, c.Admin(), kind)
		})
	}
}
