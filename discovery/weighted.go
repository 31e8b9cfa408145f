package discovery

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// WeightedPicker is made by Weighted.
type WeightedPicker struct {
	next atomic.Uint64 // in a cache line of its own, as all cores write it
	_    [56]byte
	kept kept[rotation]
}

// A rotation visits each position once before it visits one again, in steps that are far from each other.
type rotation struct {
	shares *shares
	stride uint64
}

// Weighted takes instances in turn, each as often as its weight says: of as many requests as the weights' sum (their common factor taken out), each
// instance gets exactly its weight, and the heavy ones' turns are spread among the others' rather than in one burst. It begins at a random place.
func Weighted() *WeightedPicker {
	p := new(WeightedPicker)
	p.next.Store(uint64(rand.Uint32()))
	return p
}

// Pick returns the instance whose turn it is.
func (p *WeightedPicker) Pick(s *Snapshot) (*Instance, func(error), error) {
	if len(s.Instances) == 0 {
		return nil, nil, ErrNoInstance
	}
	r := p.kept.find(s)
	if r == nil {
		r = p.kept.add(s, newRotation)
	}
	// Where the product wraps around, the rotation goes on from another place: once in billions of requests, an instance may get one more.
	return &s.Instances[r.shares.at(p.next.Add(1)*r.stride%r.shares.total)], nothing, nil
}

func newRotation(s *Snapshot, _ []keptValue[rotation]) *rotation {
	r := &rotation{shares: newShares(s.Instances)}
	// Steps in the golden ratio to the whole leave no place unvisited for long. Without a common factor they visit all.
	r.stride = uint64(float64(r.shares.total) / math.Phi)
	for r.stride = max(r.stride, 1); gcd(r.stride, r.shares.total) != 1; r.stride++ {
	}
	return r
}
