package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/election"
	"etcdkit/session"
)

func ourCandidate(s *session.Session, name string) locker {
	e := election.New(s, name)
	return func() (func() error, error) {
		t, err := e.Campaign(background)
		if err != nil {
			return nil, err
		}
		return func() error { return t.Resign(background) }, nil
	}
}

func theirCandidate(s *concurrency.Session, name string) locker {
	e := concurrency.NewElection(s, name)
	return func() (func() error, error) {
		return func() error { return e.Resign(background) }, e.Campaign(background, "v")
	}
}

// resign is the time from one leader's call of resign to the next one leading, at the median, and on average where that hides what some of the
// successions take.
func resign() []row {
	const dwell = 500 * time.Millisecond
	candidates := func(n int, lead time.Duration, of func([]float64) float64) row {
		return row{
			name: fmt.Sprintf("election/resign/%d", n), unit: "ms", lower: true,
			ours: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return successions(lead, of, each(n, func() locker { return ourCandidate(b.ours(), name) }))
			},
			peer: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return successions(lead, of, each(n, func() locker { return theirCandidate(b.theirs(), name) }))
			},
			limit: func(b *bench) func(time.Duration) float64 { return events(50, b, lead) },
		}
	}
	slow, two, sixteen := candidates(16, dwell, half), candidates(2, 0, mean), candidates(16, 0, mean)
	slow.name += "/dwell"
	two.name += "/mean"
	sixteen.name += "/mean"
	return []row{candidates(2, 0, half), two, candidates(16, 0, half), sixteen, slow}
}

func half(found []float64) float64 { return percentile(found, 50) }

func mean(found []float64) float64 {
	sum := 0.0
	for _, f := range found {
		sum += f
	}
	return sum / float64(max(len(found), 1))
}

// successions lets candidates lead one after the other, each for so long, and returns the time from a resignation's call to the next one leading,
// in ms.
func successions(lead time.Duration, of func([]float64) float64, candidates []locker) func(time.Duration) float64 {
	return func(d time.Duration) float64 {
		var found []float64
		for i, all := 1, tenures(max(d, 10*lead), lead, candidates); i < len(all); i++ {
			found = append(found, all[i].begun.Sub(all[i-1].leaving).Seconds()*1000)
		}
		return of(found)
	}
}

// transfer is the time from the call of Transfer to the target leading, among eight; of etcd's package, from the call of Resign to the next one
// leading, whoever that is: it knows no transfer.
func transfer() []row {
	const n, lead = 8, 20 * time.Millisecond
	return []row{{
		name: "election/transfer/8", unit: "ms", lower: true,
		ours: func(b *bench) func(time.Duration) float64 {
			name := b.name()
			type leader struct {
				value string
				term  *election.Term
				at    time.Time
			}
			won := make(chan leader)
			ctx, cancel := context.WithCancel(background)
			var all sync.WaitGroup
			b.later(func() { cancel(); all.Wait() })
			for i := range n {
				value := fmt.Sprint("c", i)
				e := election.New(b.ours(), name, election.WithValue(value))
				all.Go(func() {
					for ctx.Err() == nil {
						t, err := e.Campaign(ctx)
						if err != nil {
							return
						}
						select {
						case won <- leader{value, t, time.Now()}:
							<-t.Context().Done()
						case <-ctx.Done():
						}
					}
				})
			}
			now := <-won
			e := election.New(b.ours(), name)
			return func(d time.Duration) float64 {
				var found []float64
				for until := time.Now().Add(d); time.Now().Before(until); {
					time.Sleep(lead) // until those who were passed over stand in line again
					candidates, err := e.Candidates(background)
					check(err)
					if len(candidates) < n {
						continue
					}
					start := time.Now()
					check(now.term.Transfer(background, candidates[n/2].ID))
					now = <-won
					found = append(found, now.at.Sub(start).Seconds()*1000)
				}
				return percentile(found, 50)
			}
		},
		peer: func(b *bench) func(time.Duration) float64 {
			name := b.name()
			return successions(lead, half, each(n, func() locker { return theirCandidate(b.theirs(), name) }))
		},
		limit: func(b *bench) func(time.Duration) float64 { return events(50, b, lead) },
	}}
}

// roles is how many elections a process wins in a second when it starts, and nobody else stands.
func roles() []row {
	const n, at = 1000, 64
	return []row{{
		name: "election/roles/1000", unit: "roles/s",
		ours: func(b *bench) func(time.Duration) float64 {
			s := b.ours()
			return winning(b, n, at, func(name string) locker { return ourCandidate(s, name) })
		},
		peer: func(b *bench) func(time.Duration) float64 {
			s := b.theirs()
			return winning(b, n, at, func(name string) locker { return theirCandidate(s, name) })
		},
		limit: func(b *bench) func(time.Duration) float64 {
			c := b.client()
			return perSecond(each(at, func() func() error { return put(c, b.name()) })...)
		},
	}}
}

// winning returns how many of n elections are won in a second by so many goroutines; what it won it resigns after the clock has stopped.
func winning(b *bench, n, at int, candidate func(name string) locker) func(time.Duration) float64 {
	return func(time.Duration) float64 {
		names := make(chan locker, n)
		for range n {
			names <- candidate(b.name())
		}
		close(names)
		won := make(chan func() error, n)
		var all sync.WaitGroup
		start := time.Now()
		for range at {
			all.Go(func() {
				for campaign := range names {
					resign, err := campaign()
					if err != nil {
						return
					}
					won <- resign
				}
			})
		}
		all.Wait()
		took := time.Since(start)
		close(won)
		count := 0
		for resign := range won {
			check(resign())
			count++
		}
		if count != n {
			check(fmt.Errorf("%d of %d elections were won", count, n))
		}
		return float64(n) / took.Seconds()
	}
}
