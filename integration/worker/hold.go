package worker

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/history"
)

// hold lives through one hold.
func (w *worker) hold(ctx context.Context, h held, hold history.Hold) {
	w.say(Line{Held: &hold})
	end := make(chan int64, 1)
	stop := context.AfterFunc(h.Context(), func() { end <- Now() })
	w.work(ctx, h)
	over := hold // Held may still be read
	if stop() {  // still held
		over.To = Now()
	} else {
		over.To, over.Lost = <-end, true
	}
	over.Unlock = outcome(h.release(ctx))
	over.Cause = outcome(context.Cause(h.Context()))
	over.Again = outcome(h.release(ctx))
	w.say(Line{Over: &over})
}

// work writes under the guard until the time is up and the last write was answered, or the hold is over. It writes once more after a loss:
// that must be refused.
func (w *worker) work(ctx context.Context, h held) {
	var up <-chan time.Time
	if w.spec.Hold > 0 {
		up = time.After(w.spec.Hold)
	}
	tick := time.NewTicker(max(w.spec.Every, time.Millisecond))
	defer tick.Stop()
	for over := false; ; {
		if answered := w.write(ctx, h); over && answered {
			return
		}
		select {
		case <-up:
			over = true
		case <-ctx.Done():
			return
		case <-h.Context().Done():
			w.write(ctx, h)
			return
		case <-tick.C:
		}
	}
}

// write is a write to a store that checks the guard; who wakes up too late sends it like any other. It is false if no answer came.
func (w *worker) write(ctx context.Context, h held) bool {
	ctx, cancel := context.WithTimeout(ctx, w.spec.TTL)
	defer cancel()
	write := history.Write{Name: w.spec.Name, Client: w.spec.Client, Token: int64(h.Token()), Call: Now()}
	resp, err := w.client.Txn(ctx).
		If(h.Guard()).
		Then(clientv3.OpPut(data(w.spec.Prefix)+w.spec.Name, fmt.Sprint(write.Token))).
		Commit()
	if err != nil {
		return false // it may have happened: the referee sees it if it did
	}
	write.Return, write.Accepted = Now(), resp.Succeeded
	if resp.Succeeded {
		write.Rev = resp.Header.Revision
	}
	w.say(Line{Wrote: &write})
	return true
}

// data is the prefix of what is written under guards: the name follows.
func data(prefix string) string { return prefix + "/data/" }
