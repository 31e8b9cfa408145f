package main

import (
	"fmt"
	"slices"
	"time"
)

// A row is one line of the table: what is measured, in which unit, and by which contenders.
type row struct {
	name  string
	unit  string
	lower bool // lower is better
	once  bool // one slice is the whole measurement: it takes as long as it takes

	ours, peer, limit contender // peer and limit may be nil
}

// A contender sets up what it needs and returns what takes one slice and returns its figure.
type contender func(b *bench) func(d time.Duration) float64

// rounds is how many slices each contender gets.
const rounds = 5

// result is a measured row. A figure that is missing is nil.
type result struct {
	row               row
	ours, peer, limit *float64
}

// measure runs the contenders of a row in turn.
func measure(r row, members int, d time.Duration, progress func(string)) (res result, err error) {
	defer func() {
		if f, ok := recover().(failure); ok {
			err = f.error
		}
	}()
	res.row = r
	var (
		names   = []string{"ours", "peer", "limit"}
		sides   = []contender{r.ours, r.peer, r.limit}
		figures = [3][]float64{}
		slices_ [3]func(time.Duration) float64
	)
	b, err := newBench(members)
	if err != nil {
		return res, err
	}
	defer b.close()
	for i, side := range sides {
		if side == nil {
			continue
		}
		progress(fmt.Sprintf("%s: setting up %s", r.name, names[i]))
		slices_[i] = side(b)
		if !r.once {
			slices_[i](d / 10) // grants leases, opens connections
		}
	}
	n := rounds
	if r.once {
		n = 1
	}
	for round := range n {
		for i := range sides {
			i = (i + round) % len(sides) // nobody is always first
			if slices_[i] != nil {
				progress(fmt.Sprintf("%s: %s, %d of %d", r.name, names[i], round+1, n))
				figures[i] = append(figures[i], slices_[i](d))
			}
		}
	}
	for i, to := range []**float64{&res.ours, &res.peer, &res.limit} {
		if len(figures[i]) > 0 {
			m := median(figures[i])
			*to = &m
		}
	}
	return res, nil
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratio is how many times better ours is than the other. There is none where one of them is not above zero: a time can be negative
// where it is the distance of two events.
func (r result) ratio(other *float64) *float64 {
	if r.ours == nil || other == nil || *r.ours <= 0 || *other <= 0 {
		return nil
	}
	better := *r.ours / *other
	if r.row.lower {
		better = *other / *r.ours
	}
	return &better
}
