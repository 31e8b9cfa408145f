package main

import (
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/lock"
	"etcdkit/session"
)

// A locker takes a lock and returns what lets go of it.
type locker func() (unlock func() error, err error)

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
