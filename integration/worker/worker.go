// Package worker runs clients of a lock in processes of their own, so that they can be killed and frozen: the program that uses it executes
// itself again. A worker takes its lock again and again, writes under the lock's guard while it holds, and says on its standard output, a
// JSON line each, what it believes and when.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"etcdkit/integration/history"
	"etcdkit/lock"
	"etcdkit/session"
)

// Spec is what a worker does.
type Spec struct {
	Endpoints []string      `json:"endpoints"`
	Prefix    string        `json:"prefix"`
	Name      string        `json:"name"`   // of the lock
	Client    string        `json:"client"` // who it is in the history
	TTL       time.Duration `json:"ttl"`
	Hold      time.Duration `json:"hold"`  // how long it keeps the lock; 0: until it is lost
	Every     time.Duration `json:"every"` // between two guarded writes
}

// Line is what a worker says. Exactly one of its parts is there.
type Line struct {
	Held  *history.Hold  `json:"held,omitempty"`  // Lock has returned
	Over  *history.Hold  `json:"over,omitempty"`  // the hold is over, as far as the worker believes
	Wrote *history.Write `json:"wrote,omitempty"` // a guarded write was answered
	Error string         `json:"error,omitempty"`
}

// variable names the environment variable that makes a process a worker.
const variable = "ETCDKIT_WORKER"

// Main turns this process into a worker if it was started as one, and then does not return. Call it first of all.
func Main() {
	spec := os.Getenv(variable)
	if spec == "" {
		return
	}
	if err := run(spec); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run works until its standard input ends, which it does when the parent is gone too.
func run(text string) error {
	var spec Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()

	cfg := session.ClientConfig(spec.Endpoints...)
	cfg.Logger = zap.NewNop()
	client, err := clientv3.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix(spec.Prefix), session.WithTTL(spec.TTL))
	defer s.Close(ctx)
	w := &worker{spec: spec, client: client, mutex: lock.NewMutex(s, spec.Name), out: json.NewEncoder(os.Stdout)}
	for ctx.Err() == nil {
		if err := w.round(ctx); err != nil && ctx.Err() == nil {
			w.say(Line{Error: err.Error()})
		}
	}
	return nil
}

type worker struct {
	spec   Spec
	client *clientv3.Client
	mutex  *lock.Mutex
	mu     sync.Mutex // protects out
	out    *json.Encoder
}

func (w *worker) say(l Line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out.Encode(l) != nil {
		os.Exit(1) // nobody listens
	}
}

// round takes the lock once.
func (w *worker) round(ctx context.Context) error {
	hold := history.Hold{Name: w.spec.Name, Client: w.spec.Client, Asked: Now()}
	h, err := w.mutex.Lock(ctx)
	if err != nil {
		return err
	}
	hold.From, hold.Token = Now(), int64(h.Token())
	w.say(Line{Held: &hold})
	end := make(chan int64, 1)
	stop := context.AfterFunc(h.Context(), func() { end <- Now() })
	w.work(ctx, h)
	if stop() { // still held
		hold.To = Now()
	} else {
		hold.To, hold.Lost = <-end, true
	}
	over := hold
	err = h.Unlock(ctx)
	w.say(Line{Over: &over})
	if errors.Is(err, session.ErrLost) {
		return nil
	}
	return err
}

// work writes under the guard until the time is up or the hold is over. It writes once more after a loss: that must be refused.
func (w *worker) work(ctx context.Context, h *lock.Hold) {
	var up <-chan time.Time
	if w.spec.Hold > 0 {
		up = time.After(w.spec.Hold)
	}
	tick := time.NewTicker(max(w.spec.Every, time.Millisecond))
	defer tick.Stop()
	for {
		w.write(ctx, h)
		select {
		case <-up:
			return
		case <-ctx.Done():
			return
		case <-h.Context().Done():
			w.write(ctx, h)
			return
		case <-tick.C:
		}
	}
}

// write is a write to a store that checks the guard; who wakes up too late sends it like any other.
func (w *worker) write(ctx context.Context, h *lock.Hold) {
	ctx, cancel := context.WithTimeout(ctx, w.spec.TTL)
	defer cancel()
	write := history.Write{Name: w.spec.Name, Client: w.spec.Client, Token: int64(h.Token()), Call: Now()}
	resp, err := w.client.Txn(ctx).
		If(h.Guard()).
		Then(clientv3.OpPut(w.spec.Prefix+"/data/"+w.spec.Name, fmt.Sprint(h.Token()))).
		Commit()
	if err != nil {
		return // it may have happened: the referee sees it if it did
	}
	write.Return, write.Accepted, write.Rev = Now(), resp.Succeeded, resp.Header.Revision
	w.say(Line{Wrote: &write})
}
