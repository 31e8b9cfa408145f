package cluster

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Match picks the request that a fault is for. method is the full one: "/etcdserverpb.KV/Txn".
type Match func(method string, req any) bool

// Method matches every request with this method: "Txn", or in full.
func Method(name string) Match {
	return func(method string, _ any) bool { return method == name || strings.HasSuffix(method, "/"+name) }
}

// Faults breaks unary requests of one client at will. Each fault is for one request: the next one that matches, the faults being
// asked in the order in which they were made. Retries inside etcd's client count as requests of their own.
type Faults struct {
	t      testing.TB
	mu     sync.Mutex // protects faults
	faults []*Fault   // that have not happened yet
}

// NewFaults returns a Faults without any fault. When the test ends, a fault that has not happened fails it: what it shows would
// be void.
func NewFaults(t testing.TB) *Faults {
	f := &Faults{t: t}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, fault := range f.faults {
			t.Errorf("cluster: the fault %q never happened", fault.what)
		}
	})
	return f
}

// DialOption makes a client subject to the faults: append it to clientv3.Config.DialOptions.
func (f *Faults) DialOption() grpc.DialOption { return grpc.WithChainUnaryInterceptor(f.intercept) }

// LoseReply lets the request through, and loses its answer: the caller gets Unavailable once the server has answered.
func (f *Faults) LoseReply(match Match) *Fault { return f.add("lose the reply", match, loseReply) }

// FailBefore does not send the request: the caller gets err.
func (f *Faults) FailBefore(match Match, err error) *Fault {
	return f.add("fail before it is sent", match, func(fault *Fault, _ *call) error {
		fault.answer(err)
		close(fault.happened)
		return err
	})
}

// SendLate does not send the request now: the caller gets Unavailable at once, the server gets the request at Release.
func (f *Faults) SendLate(match Match) *Fault { return f.add("send late", match, sendLate) }

// Hold keeps the request until Release, then sends it, and the caller gets the answer; unless the caller's context ends first.
func (f *Faults) Hold(match Match) *Fault { return f.add("hold before it is sent", match, holdRequest) }

// HoldReply sends the request, and keeps the answer from the caller until Release or the end of the caller's context.
func (f *Faults) HoldReply(match Match) *Fault { return f.add("hold the reply", match, holdReply) }

func (f *Faults) add(what string, match Match, act func(*Fault, *call) error) *Fault {
	fault := &Fault{
		t: f.t, what: what, match: match, act: act,
		happened: make(chan struct{}), released: make(chan struct{}), answered: make(chan struct{}),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
	return fault
}

// take removes and returns the fault that this request is for, or nil.
func (f *Faults) take(method string, req any) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.faults {
		if fault.match(method, req) {
			f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
			return fault
		}
	}
	return nil
}

func (f *Faults) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	fault := f.take(method, req)
	if fault == nil {
		return invoke(ctx, method, req, reply, conn, opts...)
	}
	return fault.act(fault, &call{
		ctx: ctx,
		send: func() error {
			return invoke(ctx, method, req, reply, conn, opts...)
		},
		// The caller is gone when this one is sent: nothing of its own may be touched.
		sendDetached: func(req any) error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			unread := reply.(proto.Message).ProtoReflect().New().Interface()
			return invoke(ctx, method, req, unread, conn, grpc.WaitForReady(true))
		},
		copy: func() any { return proto.Clone(req.(proto.Message)) },
	})
}

// call is one request on its way.
type call struct {
	ctx          context.Context
	send         func() error
	sendDetached func(req any) error
	copy         func() any
}

// lost is what a caller sees of a request whose answer did not come.
func lost(why string) error { return status.Error(codes.Unavailable, "injected fault: "+why) }

func loseReply(fault *Fault, c *call) error {
	fault.answer(c.send())
	close(fault.happened)
	return lost("the reply was lost")
}

func sendLate(fault *Fault, c *call) error {
	req := c.copy()
	fault.late = func() error { return c.sendDetached(req) }
	close(fault.happened)
	return lost("the request is still under way")
}

func holdRequest(fault *Fault, c *call) error {
	close(fault.happened)
	select {
	case <-fault.released:
		err := c.send()
		fault.answer(err)
		return err
	case <-c.ctx.Done():
		fault.answer(c.ctx.Err())
		return status.FromContextError(c.ctx.Err()).Err()
	}
}

func holdReply(fault *Fault, c *call) error {
	err := c.send()
	fault.answer(err)
	close(fault.happened)
	select {
	case <-fault.released:
		return err
	case <-c.ctx.Done():
		return status.FromContextError(c.ctx.Err()).Err()
	}
}

// Fault is one thing that goes wrong once.
type Fault struct {
	t        testing.TB
	what     string
	match    Match
	act      func(*Fault, *call) error
	late     func() error  // SendLate: sends the request; set before happened closes
	once     sync.Once     // of Release
	happened chan struct{} // closed when the fault has happened
	released chan struct{} // closed by Release
	answered chan struct{} // closed when the server has answered
	err      error         // what the server answered; set before answered closes
}

func (f *Fault) answer(err error) {
	f.err = err
	close(f.answered)
}

// Happened is closed when the fault has happened: the answer is lost, or the request or its answer is held.
func (f *Fault) Happened() <-chan struct{} { return f.happened }

// Await waits until the fault has happened.
func (f *Fault) Await() {
	f.t.Helper()
	f.await(f.happened, "it did not happen")
}

// Release lets go of what the fault holds, waits for the server's answer to the request, and returns what it was.
func (f *Fault) Release() error {
	f.t.Helper()
	f.Await()
	f.once.Do(func() {
		close(f.released)
		if f.late != nil {
			f.answer(f.late())
		}
	})
	f.await(f.answered, "the server did not answer")
	return f.err
}

func (f *Fault) await(done <-chan struct{}, complaint string) {
	f.t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		f.t.Fatalf("cluster: fault %q: %s within %v", f.what, complaint, patience)
	}
}
