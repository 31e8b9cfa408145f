package discovery

import (
	"errors"
	"math"
	"sync/atomic"
)

// HashOption changes a default of ConsistentHash.
type HashOption func(*hashOptions)

type hashOptions struct {
	loadFactor float64
}

// WithLoadFactor sets how many times its share of the requests in flight an instance may have before the next one on the ring is taken; the
// default is 1.25, and math.Inf(1) means no limit. What is closer to 1 spreads better, and sends more keys astray.
func WithLoadFactor(factor float64) HashOption {
	return func(o *hashOptions) { o.loadFactor = factor }
}

// HashRing sends each key to an instance of its own. It is made by ConsistentHash.
type HashRing struct {
	options hashOptions
	kept    kept[ring]
}

// ConsistentHash sends requests of one key to one instance: where an instance comes or goes, about its share of the keys moves, and no others. Keys are
// spread by weight over a ring with 128 to 256 places for the average instance, so that most get their share within some ten per cent. All
// programs come to the same answer, as long as they see the same instances. Where the average weight doubles, many keys move.
//
// No instance gets more than 1.25 times its share of the requests in flight from here (rounded up, by weight; see WithLoadFactor), however
// popular a key is: what is more goes to the next on the ring. What is in flight is known from done.
//
//	ring := discovery.ConsistentHash()
//	inst, done, err := view.Pick(ring.Key("user-7"))
func ConsistentHash(opts ...HashOption) *HashRing {
	r := &HashRing{options: hashOptions{loadFactor: 1.25}}
	for _, opt := range opts {
		opt(&r.options)
	}
	return r
}

// KeyPicker picks for one key. It is made by HashRing.Key.
type KeyPicker struct {
	ring *HashRing
	hash uint64
}

// Key returns the Picker for the requests of a key. It costs next to nothing, and shares the ring with the others.
func (h *HashRing) Key(key string) KeyPicker { return KeyPicker{h, hashOf(key)} }

// Pick returns the instance of the key, or the next one on the ring that may have one more request.
func (k KeyPicker) Pick(s *Snapshot) (*Instance, func(error), error) {
	h := k.ring
	if h == nil {
		return nil, nil, errors.New("ConsistentHash: a KeyPicker comes from Key")
	}
	if len(s.Instances) == 0 {
		return nil, nil, ErrNoInstance
	}
	if f := h.options.loadFactor; !(f >= 1) { // which NaN is not
		return nil, nil, errors.New("ConsistentHash: WithLoadFactor: must be 1 or more")
	}
	r := h.kept.find(s)
	if r == nil {
		r = h.kept.add(s, newRing)
	}
	total := r.total.inFlight.Add(1) // with this one
	for _, node := range r.away {
		total -= node.inFlight.Load()
	}
	// The limit is that of the moment, and so is what it is compared with. Somebody is below it: not all can have more than their share.
	allowed := h.options.loadFactor * float64(max(total, 1))
	own := r.successor(k.hash)
	for i, at := 0, own; i < len(r.places); i++ {
		if seat := &r.seats[r.places[at].seat]; seat.take(allowed) {
			return &s.Instances[seat.index], seat.node.done, nil
		}
		if at++; at == len(r.places) {
			at = 0
		}
	}
	// Others took what was left, between two looks.
	seat := &r.seats[r.places[own].seat]
	seat.node.inFlight.Add(1)
	return &s.Instances[seat.index], seat.node.done, nil
}

// A seat is an instance at the ring of one snapshot.
type seat struct {
	node  *seatLoad
	index int32   // in the snapshot
	share float64 // of the weight of all
}

// seatLoad is what an instance has in flight, whatever the snapshot. It has a cache line of its own.
type seatLoad struct {
	inFlight atomic.Int64
	done     func(error) // made once: a request ends as any other
	id       string
	_        [32]byte
}

// total counts the requests in flight at a ring and at those that it came from, those of instances that are gone included. It has a cache line of
// its own, as all cores write it.
type total struct {
	inFlight atomic.Int64
	_        [56]byte
}

func (t *total) newLoad(id string) *seatLoad {
	node := &seatLoad{id: id}
	node.done = func(error) {
		if release(&node.inFlight) {
			t.inFlight.Add(-1)
		}
	}
	return node
}

// take adds a request, unless that is more than the instance's share of what all are allowed.
func (s *seat) take(allowed float64) bool {
	limit := int64(math.MaxInt64)
	if share := math.Ceil(allowed * s.share); share < 1<<62 {
		limit = int64(share)
	}
	for {
		n := s.node.inFlight.Load()
		if n >= limit {
			return false
		}
		if s.node.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// hashOf is the same in all programs and versions: FNV-1a, mixed so that every bit depends on all.
func hashOf(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
