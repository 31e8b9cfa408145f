package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/lock"
	"etcdkit/session"
)

var background = context.Background()

// round is Lock and Unlock of ours.
func round(s *session.Session, name string) func() error {
	m := lock.NewMutex(s, name)
	return func() error {
		h, err := m.Lock(background)
		if err != nil {
			return err
		}
		return h.Unlock(background)
	}
}

// theirRound is Lock and Unlock of theirs.
func theirRound(s *concurrency.Session, name string) func() error {
	m := concurrency.NewMutex(s, name)
	return func() error {
		if err := m.Lock(background); err != nil {
			return err
		}
		return m.Unlock(background)
	}
}

// put is a put of one key.
func put(c *clientv3.Client, key string) func() error {
	return func() error {
		_, err := c.Put(background, key, "")
		return err
	}
}

// putDelete is the least that a lock could cost: a put and a delete.
func putDelete(c *clientv3.Client, key string) func() error {
	return func() error {
		if _, err := c.Put(background, key, ""); err != nil {
			return err
		}
		_, err := c.Delete(background, key)
		return err
	}
}

// uncontended is a lock that nobody else wants.
func uncontended() []row {
	var all []row
	for _, n := range []int{1, 64} {
		all = append(all, row{
			name: fmt.Sprintf("lock/uncontended/%d", n), unit: "ops/s",
			ours: func(b *bench) func(time.Duration) float64 {
				return perSecond(each(n, func() func() error { return round(b.ours(), b.name()) })...)
			},
			peer: func(b *bench) func(time.Duration) float64 {
				return perSecond(each(n, func() func() error { return theirRound(b.theirs(), b.name()) })...)
			},
			limit: func(b *bench) func(time.Duration) float64 {
				return perSecond(each(n, func() func() error { return putDelete(b.client(), b.name()) })...)
			},
		})
	}
	return all
}

// contend is n clients on one lock.
func contend(n int) (ours, peer contender) {
	ours = func(b *bench) func(time.Duration) float64 {
		name := b.name()
		return perSecond(each(n, func() func() error { return round(b.ours(), name) })...)
	}
	peer = func(b *bench) func(time.Duration) float64 {
		name := b.name()
		return perSecond(each(n, func() func() error { return theirRound(b.theirs(), name) })...)
	}
	return ours, peer
}

// serialPut is one client that writes one key again and again.
func serialPut(b *bench) func(time.Duration) float64 { return perSecond(put(b.client(), b.name())) }

// handoff is an empty critical section that goes from client to client.
func handoff() []row {
	var all []row
	for _, n := range []int{2, 8, 64, 256} {
		r := row{name: fmt.Sprintf("lock/handoff/%d", n), unit: "ops/s", limit: serialPut}
		r.ours, r.peer = contend(n)
		all = append(all, r)
	}
	return all
}

// turns is a lock that goes from goroutine to goroutine in one process.
func turns() []row {
	const n = 64
	return []row{{
		name: "lock/turns/64", unit: "ops/s", limit: serialPut,
		ours: func(b *bench) func(time.Duration) float64 {
			s, name := b.ours(), b.name()
			return perSecond(each(n, func() func() error { return round(s, name) })...)
		},
		peer: func(b *bench) func(time.Duration) float64 {
			client, name := b.client(), b.name()
			return perSecond(each(n, func() func() error {
				s, err := concurrency.NewSession(client)
				check(err)
				b.later(func() { _ = s.Close() })
				return theirRound(s, name)
			})...)
		},
	}}
}

// trylock is a look at a lock that somebody else holds.
func trylock() []row {
	return []row{{
		name: "lock/trylock-busy", unit: "ops/s",
		ours: func(b *bench) func(time.Duration) float64 {
			name := b.name()
			_, err := lock.NewMutex(b.ours(), name).Lock(background)
			check(err)
			m := lock.NewMutex(b.ours(), name)
			return perSecond(func() error { return busy(err2(m.TryLock(background))) })
		},
		peer: func(b *bench) func(time.Duration) float64 {
			name := b.name()
			check(concurrency.NewMutex(b.theirs(), name).Lock(background))
			m := concurrency.NewMutex(b.theirs(), name)
			return perSecond(func() error { return busy(m.TryLock(background)) })
		},
		limit: func(b *bench) func(time.Duration) float64 {
			c, key := b.client(), b.name()
			check(put(c, key)())
			return perSecond(func() error { return err2(c.Get(background, key)) })
		},
	}}
}

func err2[T any](_ T, err error) error { return err }

// busy is nil for the answer that a held lock must give.
func busy(err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("a held lock was taken")
	case errorsIs(err, lock.ErrHeld, concurrency.ErrLocked):
		return nil
	}
	return err
}
