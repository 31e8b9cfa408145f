// Package hub holds what the packages of the kit share within one session: the client, the keys, the log, the goroutines and
// who waits for them, the things that are opened once for each key, and the janitor that finishes clean-ups.
//
// A hub knows neither session nor lock: the session hands it the functions that reach the lease (Config), and what is shared is
// untyped. There are no package-level maps; two sessions share nothing.
package hub

import (
	"context"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"

	"etcdkit/internal/keyspace"
	"etcdkit/internal/retry"
	"etcdkit/internal/stream"
)

// An Epoch is one life of the session's lease: what is held, is held in one epoch.
type Epoch interface {
	// ID is the lease that keys of this epoch are attached to. Two epochs in a row may have the same.
	ID() clientv3.LeaseID
	// Context ends, with a cause, before the lease can expire on the server.
	Context() context.Context
	// Err is nil while the lease is certainly ours. It reads the clocks, so it is right even where no timer could run, and what it
	// has said once is for good.
	Err() error
	// Deadline is the moment until which the lease is certainly ours, as far as is known now.
	Deadline() time.Time
}

// Hooks are called at the turns of a claim's life. None is nil.
type Hooks struct {
	Queued   func(line string)
	Waiting  func(line string)
	Acquired func(key string, token int64, waited time.Duration)
	Released func(key string, token int64, held time.Duration)
	Retried  func(op string, err error)
}

// Config is what the session gives its hub.
type Config struct {
	Client *clientv3.Client
	Keys   keyspace.Space
	Log    *slog.Logger
	Grace  time.Duration
	TTL    time.Duration // that leases are asked for with
	Hooks  Hooks
	Self   Info // what the session key says

	// Check tells whether the session can be used at all: a bad option, or closed.
	Check func() error
	// Epoch waits for a live epoch.
	Epoch func(context.Context) (Epoch, error)
	// Fence is the compare that each claim carries, and the revision it names: see Refence.
	Fence func(Epoch) (clientv3.Cmp, int64)
	// FenceKey is the key that Fence compares.
	FenceKey func(Epoch) string
	// Refence writes the session key again, until that is acknowledged, unless its revision differs from stale already. After
	// it, no claim that compared the stale revision can commit any more, and so a read is proof.
	Refence func(ctx context.Context, e Epoch, stale int64) error
	// Suspect makes the session ask now whether its lease is alive, instead of at the next renewal: there is a sign that it is not.
	Suspect func()
}

// Hub is the meeting point of one session's packages.
type Hub struct {
	Config
	// Lines and Holds are the gRPC streams for the watches of those who wait and of those who hold.
	Lines, Holds *stream.Stream
	// mirrors are those of mirrors, which share them by their prefixes: however many there are, there are few streams.
	mirrors [mirrorStreams]*stream.Stream

	ctx    context.Context // ends when the hub closes
	cancel context.CancelCauseFunc

	mu     sync.Mutex // protects what follows
	closed bool
	busy   bool // the goroutine that resets the connection's backoff runs
	shared map[string]*share
	ended  map[string]int // mirrors that have ended by themselves, by prefix
	byes   map[*bye]bool
	group  sync.WaitGroup

	janitor janitor
}

// New returns a hub without goroutines.
func New(c Config) *Hub {
	h := &Hub{
		Config: c,
		Lines:  stream.New("line"),
		Holds:  stream.New("hold"),
		shared: make(map[string]*share),
		ended:  make(map[string]int),
		byes:   make(map[*bye]bool),
	}
	for i := range h.mirrors {
		h.mirrors[i] = stream.New("mirror")
	}
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	return h
}

// Context ends, with the reason that Close was given, when the hub closes.
func (h *Hub) Context() context.Context { return h.ctx }

// Go runs f in a goroutine that Close cancels and waits for. Once the hub is closed it runs nothing and returns false.
func (h *Hub) Go(f func(ctx context.Context)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.group.Go(func() { f(h.ctx) })
	if !h.busy {
		h.busy = true
		h.group.Go(h.reconnect)
	}
	return true
}

// reconnect keeps an outage from being stretched by gRPC's own backoff, which grows to two minutes.
func (h *Hub) reconnect() {
	conn := h.Client.ActiveConnection()
	if conn == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
			if conn.GetState() == connectivity.TransientFailure {
				conn.ResetConnectBackoff()
			}
		}
	}
}

// Close ends everything that the hub runs, with the given cause, and waits for it until ctx ends.
func (h *Hub) Close(ctx context.Context, cause error) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel(cause)

	done := make(chan struct{})
	go func() { h.group.Wait(); close(done) }() // it ends with the group, whose goroutines all obey h.ctx
	defer h.closeMirrors()
	defer h.Holds.Close()
	defer h.Lines.Close()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Do runs an operation that may be sent again until it is answered, or the hub closes: a closed client is never of use again. It tells the
// log and the hooks of each failure. See retry.Do.
func (h *Hub) Do(ctx context.Context, op string, f func(context.Context) error) error {
	ctx, cancel := Either(ctx, h.ctx)
	defer cancel()
	return retry.Do(ctx, func(try context.Context) error { return h.told(ctx, op, f(try)) })
}

// Get returns a read that is sent again until it is answered, for what reads in pages.
func (h *Hub) Get(op string) func(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return func(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
		err = h.Do(ctx, op, func(ctx context.Context) error {
			resp, err = h.Client.Get(ctx, key, opts...)
			return err
		})
		return resp, err
	}
}

// Loop is Do for an operation that waits for what others do, and looks for an epoch each time: that tells it of the end. See retry.Loop.
func (h *Hub) Loop(ctx context.Context, op string, f func(context.Context) error) error {
	return retry.Loop(ctx, func(ctx context.Context) error { return h.told(ctx, op, f(ctx)) })
}

// told tells of a failure, unless it is the end of who asked.
func (h *Hub) told(ctx context.Context, op string, err error) error {
	if err != nil && ctx.Err() == nil {
		h.Log.Debug("request failed", "op", op, "error", err)
		h.Hooks.Retried(op, err)
	}
	return err
}
