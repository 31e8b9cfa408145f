package discovery

import (
	"math/rand/v2"
	"sync/atomic"
)

// RoundRobinPicker is made by RoundRobin.
type RoundRobinPicker struct {
	next atomic.Uint32 // in a cache line of its own, as all cores write it
	_    [60]byte
}

// RoundRobin takes one instance after the other, whatever their weights. It begins at a random place, so that many clients that start together do
// not all call the same instance.
func RoundRobin() *RoundRobinPicker {
	p := new(RoundRobinPicker)
	p.next.Store(rand.Uint32())
	return p
}

// Pick returns the instance behind the last one.
func (p *RoundRobinPicker) Pick(s *Snapshot) (*Instance, func(error), error) {
	if len(s.Instances) == 0 {
		return nil, nil, ErrNoInstance
	}
	// Where the counter wraps around, the round goes on from another place.
	n := p.next.Add(1)
	return &s.Instances[n%uint32(len(s.Instances))], nothing, nil
}
