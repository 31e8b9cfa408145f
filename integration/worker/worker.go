// Package worker runs clients of the kit in processes of their own, so that they can be killed and frozen: the program that uses it executes
// itself again. A worker does its job again and again, on a lock for example: it takes it, writes under the lock's guard while it
// holds, and says on its standard output, a JSON line each, what it believes and when.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"etcdkit/integration/history"
	"etcdkit/session"
)

// Spec is what a worker does.
type Spec struct {
	Endpoints []string      `json:"endpoints"`
	User      string        `json:"user,omitempty"` // with the password; empty where etcd asks for none
	Password  string        `json:"password,omitempty"`
	Prefix    string        `json:"prefix"`
	Job       string        `json:"job"`    // one of Jobs
	Name      string        `json:"name"`   // of the lock
	Client    string        `json:"client"` // who it is in the history
	TTL       time.Duration `json:"ttl"`
	Callers   int           `json:"callers"`  // which do the job at the same time in one session; 0: one
	Takes     int           `json:"takes"`    // of readers: 1, or they also write; of permits: how many each time, or any number
	Hold      time.Duration `json:"hold"`     // how long it keeps the lock; 0: until it is lost
	Every     time.Duration `json:"every"`    // between two guarded writes
	Patience  time.Duration `json:"patience"` // after which it gives up, more or less; 0: never
}

// Line is what a worker says. Exactly one of its parts is there.
type Line struct {
	Lease  *history.Lease `json:"lease,omitempty"`  // was granted
	Held   *history.Hold  `json:"held,omitempty"`   // Lock has returned
	Over   *history.Hold  `json:"over,omitempty"`   // the hold is over, as far as the worker believes
	Failed *history.Call  `json:"failed,omitempty"` // Lock has returned an error
	Wrote  *history.Write `json:"wrote,omitempty"`  // a guarded write was answered
	End    *history.End   `json:"end,omitempty"`    // the session and the client are closed

	Stall *history.Disturbance `json:"stall,omitempty"` // the process did not get to run
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

// worker is the process.
type worker struct {
	spec    Spec
	client  *clientv3.Client
	session *session.Session
	told    atomic.Int64 // when it was told to stop

	mu  sync.Mutex // protects out
	out *json.Encoder
}

// run works until its standard input ends, which it does when the parent is gone too.
func run(text string) error {
	w := &worker{out: json.NewEncoder(os.Stdout)}
	if err := json.Unmarshal([]byte(text), &w.spec); err != nil {
		return err
	}
	job, ok := jobs[w.spec.Job]
	if !ok {
		return fmt.Errorf("no job has the name %q", w.spec.Job)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		w.told.Store(Now())
		cancel()
	}()
	if err := w.open(); err != nil {
		return err
	}
	go w.pulse()
	var callers sync.WaitGroup
	for range max(1, w.spec.Callers) {
		callers.Go(func() {
			for round := job.begin(w); ctx.Err() == nil; {
				if !round(ctx) {
					rest(ctx)
				}
			}
		})
	}
	callers.Wait()
	w.close()
	return nil
}

// pulse says when the process did not get to run, for as long as it lives.
func (w *worker) pulse() {
	last := Now()
	for range time.Tick(50 * time.Millisecond) {
		at := Now()
		if at-last > int64(500*time.Millisecond) {
			w.say(Line{Stall: &history.Disturbance{What: "it did not get to run", Client: w.spec.Client, From: last, To: at}})
		}
		last = at
	}
}

func (w *worker) open() error {
	cfg := session.ClientConfig(w.spec.Endpoints...)
	cfg.Logger = zap.NewNop()
	cfg.Username, cfg.Password = w.spec.User, w.spec.Password
	client, err := clientv3.New(cfg)
	if err != nil {
		return err
	}
	w.client = client
	w.session = session.New(client, session.WithPrefix(w.spec.Prefix), session.WithTTL(w.spec.TTL), session.WithTrace(&session.Trace{
		Granted: func(id clientv3.LeaseID, _ time.Duration, again bool) {
			if !again {
				w.say(Line{Lease: &history.Lease{ID: int64(id), Client: w.spec.Client}})
			}
		},
	}))
	return nil
}

// close ends everything, and says what is left.
func (w *worker) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	end := history.End{Client: w.spec.Client, Name: w.spec.Name}
	if err := w.session.Close(ctx); err != nil {
		end.Close = err.Error()
	}
	end.At = Now()
	_ = w.client.Close()
	end.Left, end.Stacks = left()
	w.say(Line{End: &end})
}

func (w *worker) say(l Line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out.Encode(l) != nil {
		os.Exit(1) // nobody listens
	}
}

// rest is the pause after a call that failed: mostly short, so that the next call takes over what the last one left, and now and then so long
// that a key which nobody deletes is seen.
func rest(ctx context.Context) {
	pause := rand.N(20 * time.Millisecond)
	switch rand.N(16) {
	case 0:
		pause = 2500 * time.Millisecond
	case 1, 2, 3:
		pause = rand.N(400 * time.Millisecond)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// patient returns a context for a call, which ends after a random time if the worker is one that gives up, and what tells when it ended: 0
// if it has not.
func (w *worker) patient(ctx context.Context) (context.Context, context.CancelFunc, func() int64) {
	cancel, until := context.CancelFunc(func() {}), int64(0)
	call := ctx
	if w.spec.Patience > 0 {
		patience := rand.N(2 * w.spec.Patience)
		until = Now() + int64(patience)
		call, cancel = context.WithTimeout(ctx, patience)
	}
	return call, cancel, func() int64 {
		switch {
		case ctx.Err() != nil:
			return w.told.Load()
		case errors.Is(call.Err(), context.DeadlineExceeded):
			return until
		}
		return 0
	}
}
