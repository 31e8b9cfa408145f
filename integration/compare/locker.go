package main

import (
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/lock"
	"etcdkit/session"
)

// A locker takes a lock, or comes to lead, and returns what lets go of that.
type locker func() (unlock func() error, err error)

// A tenure is the time in which one of several lockers had what they all want.
type tenure struct{ begun, leaving, left time.Time }

// tenures lets lockers take turns for d, each of whom keeps what it has for so long, and returns who had it when, in their order.
func tenures(d, keep time.Duration, lockers []locker) []tenure {
	var (
		mu     sync.Mutex // protects what follows
		found  []*tenure
		failed error
		all    sync.WaitGroup
	)
	turn := func(take locker) error {
		leave, err := take()
		if err != nil {
			return err
		}
		t := &tenure{begun: time.Now()}
		mu.Lock()
		found = append(found, t)
		mu.Unlock()
		time.Sleep(keep)
		t.leaving = time.Now()
		err = leave()
		t.left = time.Now()
		return err
	}
	until := time.Now().Add(d)
	for _, l := range lockers {
		all.Go(func() {
			for time.Now().Before(until) {
				if err := turn(l); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	check(failed)
	list := make([]tenure, len(found))
	for i, t := range found {
		list[i] = *t
	}
	return list
}

func ourLocker(s *session.Session, name string) locker {
	m := lock.NewMutex(s, name)
	return func() (func() error, error) {
		h, err := m.Lock(background)
		if err != nil {
			return nil, err
		}
		return func() error { return h.Unlock(background) }, nil
	}
}

func theirLocker(s *concurrency.Session, name string) locker {
	m := concurrency.NewMutex(s, name)
	return func() (func() error, error) {
		return func() error { return m.Unlock(background) }, m.Lock(background)
	}
}
