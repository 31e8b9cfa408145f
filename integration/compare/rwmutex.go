package main

import (
	"context"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"

	"etcdkit/lock"
	"etcdkit/session"
)

// taking is taking a lock and letting go of it.
func taking(take func(context.Context) (*lock.Hold, error)) func() error {
	return func() error {
		h, err := take(background)
		if err != nil {
			return err
		}
		return h.Unlock(background)
	}
}

func ourReader(s *session.Session, name string) func() error {
	return taking(lock.NewRWMutex(s, name).RLock)
}

func ourWriter(s *session.Session, name string) func() error {
	return taking(lock.NewRWMutex(s, name).Lock)
}

// their is the same of the recipes. A value serves one caller at a time.
func theirReader(s *concurrency.Session, name string) func() error {
	m := recipe.NewRWMutex(s, name)
	return func() error {
		if err := m.RLock(); err != nil {
			return err
		}
		return m.RUnlock()
	}
}

func theirWriter(s *concurrency.Session, name string) func() error {
	m := recipe.NewRWMutex(s, name)
	return func() error {
		if err := m.Lock(); err != nil {
			return err
		}
		return m.Unlock()
	}
}

// rwmutex is readers that do not disturb each other, and a lock that goes from writer to reader and back.
func rwmutex() []row {
	const readers = 64
	return []row{
		{
			name: "rwmutex/read/64", unit: "ops/s",
			ours: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return perSecond(each(readers, func() func() error { return ourReader(b.ours(), name) })...)
			},
			peer: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return perSecond(each(readers, func() func() error { return theirReader(b.theirs(), name) })...)
			},
			limit: func(b *bench) func(time.Duration) float64 {
				return perSecond(each(readers, func() func() error { return putDelete(b.client(), b.name()) })...)
			},
		},
		{
			name: "rwmutex/handoff", unit: "ops/s", limit: serialPut,
			ours: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return perSecond(ourWriter(b.ours(), name), ourReader(b.ours(), name))
			},
			peer: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return perSecond(theirWriter(b.theirs(), name), theirReader(b.theirs(), name))
			},
		},
	}
}

// semaphore is 64 clients that want one of eight permits.
func semaphore() []row {
	const clients, permits = 64, 8
	return []row{{
		name: "semaphore/8of64", unit: "ops/s",
		ours: func(b *bench) func(time.Duration) float64 {
			name := b.name()
			return perSecond(each(clients, func() func() error {
				s := lock.NewSemaphore(b.ours(), name, permits)
				return taking(func(ctx context.Context) (*lock.Hold, error) { return s.Acquire(ctx, 1) })
			})...)
		},
		limit: func(b *bench) func(time.Duration) float64 {
			return perSecond(each(permits, func() func() error {
				c, key := b.client(), b.name()
				return put(c, key)
			})...)
		},
	}}
}
