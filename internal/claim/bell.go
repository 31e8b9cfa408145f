package claim

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/stream"
)

// A bell hears when somebody who releases touches keys of this session in a line. One watch of all that have the name of its lease
// serves one wait after the other, since to open one for each would cost as much as the rest of it.
type bell struct {
	hub  *hub.Hub
	id   string // under which the hub shares it
	from string // how the names of the keys begin

	mu      sync.Mutex // protects what follows
	running bool
	since   int64                       // the revision behind which it hears everything; 0 while it hears nothing
	watch   *stream.Watch               // while it hears
	rung    map[string]*mvccpb.KeyValue // the last touch of each key
	calls   map[string]call             // of those who wait, by their keys
	used    time.Time                   // by the last one
}

// A call waits for the touch of a key with this create revision. It is closed then, or when the bell hears no more.
type call struct {
	rev int64
	c   chan struct{}
}

const (
	// hearFor is how long somebody waits to be told before he watches, so it is what a holder costs who was lost and told nobody.
	hearFor = 100 * time.Millisecond
	// bellStays is how long a watch stays that nobody needs.
	bellStays = 10 * time.Second
)

// hear waits a while to be told that our key holds. That it still does has to be proved by a read, but of this key alone: those before
// it can only have become fewer since.
func (f *front) hear(ctx context.Context, e hub.Epoch) (holds bool, err error) {
	en := f.entry
	if _, ok := f.claim.Rule.(rouser); !ok || en.epoch != e || en.heard || en.ahead != nil && en.ahead.refused != nil {
		return false, nil
	}
	en.heard = true
	b := f.openBell(e)
	defer f.hub.Unshare(b.id)
	call := b.listen(en)
	if call == nil {
		return false, nil
	}
	enough := time.NewTimer(hearFor)
	defer enough.Stop()
	select {
	case <-call:
	case <-enough.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if told := b.answer(en); !told || err != nil {
		return false, err
	}
	return f.stands(ctx)
}

// stands proves that our key is there.
func (f *front) stands(ctx context.Context) (bool, error) {
	ctx, cancel := f.patience.Try(ctx)
	defer cancel()
	resp, err := f.hub.Client.Get(ctx, f.entry.key, clientv3.WithKeysOnly())
	if err != nil {
		return false, err
	}
	f.patience.Reset()
	return true, f.confirm(resp.Kvs)
}

// openBell returns the bell for the keys of the epoch's lease.
func (f *front) openBell(e hub.Epoch) *bell {
	from := f.prefix + strconv.FormatInt(int64(e.ID()), 16)
	id := "bell of " + from
	return f.hub.Share(id, func() (any, func()) {
		return &bell{
			hub: f.hub, id: id, from: from, rung: make(map[string]*mvccpb.KeyValue), calls: make(map[string]call),
		}, nil
	}).(*bell)
}

// listen returns what is closed when the entry's key is touched, or has been. It is nil if the bell could have missed that; the next one
// who waits has more luck then.
func (b *bell) listen(en *entry) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = time.Now()
	if !b.running {
		b.hub.Share(b.id, func() (any, func()) { panic("claim: a bell was closed while it was in use") })
		if b.running = b.hub.Go(b.run); !b.running {
			b.hub.Unshare(b.id)
		}
	}
	if b.since == 0 || b.since > en.rev {
		return nil
	}
	c := make(chan struct{})
	if kv := b.rung[en.key]; kv != nil && kv.CreateRevision == en.rev {
		close(c)
	} else {
		b.calls[en.key] = call{en.rev, c}
	}
	return c
}

// answer tells whether the entry's key was touched. What somebody else has made of it is no touch.
func (b *bell) answer(en *entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = time.Now()
	delete(b.calls, en.key)
	kv := b.rung[en.key]
	delete(b.rung, en.key)
	return kv != nil && kv.CreateRevision == en.rev && clientv3.LeaseID(kv.Lease) == en.epoch.ID() && string(kv.Value) == en.value
}

// run hears until nobody has needed it for a while, the watch ends or the session is closed.
func (b *bell) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer b.deafen()
	if err := b.hear(ctx); err != nil && ctx.Err() == nil {
		b.hub.Log.Debug("a watch of touches ended", "keys", b.from, "error", err)
	}
}

func (b *bell) hear(ctx context.Context) error {
	end := clientv3.GetPrefixRangeEnd(b.from)
	w, err := b.hub.Lines.Watch(ctx, b.hub.Client, b.from, clientv3.WithRange(end), clientv3.WithFilterDelete())
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.since, b.watch = w.Revision, w
	b.mu.Unlock()
	idle := time.NewTicker(bellStays)
	defer idle.Stop()
	for {
		select {
		case resp, ok := <-w.Responses:
			if !ok {
				return fmt.Errorf("it ended without a word")
			}
			if err := resp.Err(); err != nil {
				return watchEnded(w, err)
			}
			b.ring(resp.Events)
		case <-idle.C:
			if b.isIdle() {
				return nil
			}
		}
	}
}

// ring takes note of touches and lets those know who wait for them.
func (b *bell) ring(events []*clientv3.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range events {
		if !ev.IsModify() {
			continue
		}
		key := string(ev.Kv.Key)
		b.rung[key] = ev.Kv
		if call, ok := b.calls[key]; ok && call.rev == ev.Kv.CreateRevision {
			close(call.c)
			delete(b.calls, key)
		}
	}
}

// missed ends a bell that did not hear of a touch that has happened, and the stream that it was deaf on. One that is about to hear of it
// has to go, too: the next one is as good.
func (f *front) missed(e hub.Epoch) {
	b := f.openBell(e)
	defer f.hub.Unshare(b.id)
	b.mu.Lock()
	w := b.watch
	deaf := w != nil && b.since <= f.entry.rev && b.rung[f.entry.key] == nil
	b.mu.Unlock()
	if deaf {
		w.Replace()
	}
}

func (b *bell) isIdle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.calls) == 0 && time.Since(b.used) > bellStays
}

// deafen sends those who wait away.
func (b *bell) deafen() {
	b.mu.Lock()
	b.running, b.since, b.watch = false, 0, nil
	clear(b.rung)
	for key, call := range b.calls {
		close(call.c)
		delete(b.calls, key)
	}
	b.mu.Unlock()
	b.hub.Unshare(b.id)
}
