package integration

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// The context of a hold ends before anything is sent that can give the lock to somebody else.
func TestTheContextEndsBeforeTheRelease(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]bool{"alone": false, "with a caller who waits": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster.New(t, 1)
			client, faults := faultyOf(t, c)
			queued, trace := tellQueued()
			m := lock.NewMutex(open(t, client, "p", trace), "x")
			h := mustLock(t, m)
			var held <-chan *lock.Hold
			if wait {
				held = async(t, m)
				<-queued
			}
			release := faults.Hold(deletes(m.Key()))
			unlocked := make(chan error, 1)
			go func() { unlocked <- h.Unlock(soon(t)) }()
			release.Await()
			if h.Context().Err() == nil || !errors.Is(h.Err(), session.ErrReleased) {
				t.Errorf("the release is under way, and Err = %v", h.Err())
			}
			must(t, release.Release())
			must(t, <-unlocked)
			if wait {
				mustUnlock(t, next(t, held))
			}
		})
	}
}

// TryLock finds the line empty, and somebody is quicker.
func TestTryLockIsOvertaken(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	m := lock.NewMutex(open(t, client, "p"), "x")
	put := faults.Hold(puts(m.Key()))
	tried := make(chan error, 1)
	go func() { _, err := m.TryLock(soon(t)); tried <- err }()
	put.Await()
	h := mustLock(t, lock.NewMutex(open(t, c.Client(t), "p"), "x"))
	must(t, put.Release())
	var held *lock.HeldError
	if err := <-tried; !errors.As(err, &held) || held.Owner.Token != h.Token() {
		t.Errorf("TryLock = %v", err)
	}
	mustUnlock(t, h)
}

// A holder watches its key. A delete of the slot's earlier use, a watch that ends and one that is compacted are no loss; the end of the key is.
func TestOnlyTheEndOfItsKeyIsALoss(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	watcher := &strayWatcher{Watcher: client.Watcher}
	client.Watcher = watcher
	m := lock.NewMutex(open(t, client, cluster.Prefix(t)), "x")
	mustUnlock(t, mustLock(t, m)) // an earlier use of the slot
	h := mustLock(t, m)
	say := func(w *stray, resp clientv3.WatchResponse) {
		select {
		case w.in <- resp:
		case <-h.Context().Done():
			t.Fatalf("lost: %v", context.Cause(h.Context()))
		}
	}
	watch := func(n int) *stray {
		eventually(t, "a watch of the key", func() bool {
			if h.Context().Err() != nil {
				t.Fatalf("lost: %v", context.Cause(h.Context()))
			}
			return watcher.opened(m.Key()) >= n
		})
		return watcher.await(t, m.Key(), n)
	}

	w := watch(1)
	for range 3 { // when the third is taken, the first has been judged
		say(w, clientv3.WatchResponse{Events: []*clientv3.Event{{
			Type: clientv3.EventTypeDelete,
			Kv:   &mvccpb.KeyValue{Key: []byte(w.key), ModRevision: int64(h.Token())},
		}}})
	}
	close(w.in)
	w = watch(2)
	say(w, clientv3.WatchResponse{CompactRevision: 3, Canceled: true})
	watch(3)
	mustDelete(t, client, keyOf(h))
	done(t, "the end of the hold", h.Context().Done())
	if err := h.Err(); !reason(session.Deleted)(err) {
		t.Errorf("Err: %v", err)
	}
}

// opened counts the watches of keys below the prefix.
func (w *strayWatcher) opened(prefix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams {
		if strings.HasPrefix(s.key, prefix) {
			n++
		}
	}
	return n
}
