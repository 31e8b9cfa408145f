package discovery

import (
	"cmp"
	"math/bits"
	"slices"
)

// usual is how many places an instance has on the ring whose weight is the measure, which is the average or somewhat less.
const usual = 128

// A ring is made from that of the snapshot before, where there is one: an instance more or less is then one walk over the places, without sorting
// them all. Seats keep their numbers for that.
type ring struct {
	places []place // in order
	guide  []int32 // by the first bits of a hash: the first place from there on
	shift  int
	seats  []seat
	byID   map[string]sitting
	total  *total
	away   []*seatLoad // who is not in the snapshot and has requests in flight
}

// A place sends the hashes up to its own, from the place before, to whoever has a seat.
type place struct {
	hash uint64
	seat int32
}

// sitting is what a ring knows of an instance.
type sitting struct {
	node   *seatLoad
	seat   int32
	places int // how many
}

// successor returns the place that a hash belongs to.
func (r *ring) successor(hash uint64) int {
	at := int(r.guide[hash>>r.shift])
	for at < len(r.places) && r.places[at].hash < hash {
		at++
	}
	if at == len(r.places) {
		return 0
	}
	return at
}

func newRing(s *Snapshot, older []keptValue[ring]) *ring {
	before, family := related(s, older)
	r := &ring{byID: make(map[string]sitting, len(s.Instances)), seats: make([]seat, len(before.seats)), total: before.total}
	stale, fresh := r.sit(s, before, func(id string) *seatLoad { return r.loadOf(id, family) })
	r.remember(family)
	if !slices.Contains(stale, true) && len(fresh) == 0 {
		r.places, r.guide, r.shift = before.places, before.guide, before.shift
		return r
	}
	r.places = merged(before.places, stale, fresh)
	r.point()
	return r
}

// related returns the ring that the one of a snapshot is made from, which is the most alike, and all that it has the total in common with. Those
// that have no instance in common have none: they are about different parts of a service (ZoneFirst), whose requests are not each other's.
func related(s *Snapshot, older []keptValue[ring]) (before *ring, family []*ring) {
	before = &ring{total: new(total)}
	most := 0
	for _, old := range older {
		shared := 0
		for i := range s.Instances {
			if _, ok := old.value.byID[s.Instances[i].ID]; ok {
				shared++
			}
		}
		if shared > most {
			before, most = old.value, shared
		}
	}
	for _, old := range older {
		if old.value.total == before.total {
			family = append(family, old.value)
		}
	}
	return before, family
}

// sit gives each instance a seat, that which it had before if it can. It tells which old seats' places are to go, and which places are to be added.
func (r *ring) sit(s *Snapshot, before *ring, loadOf func(id string) *seatLoad) (stale []bool, fresh []place) {
	total := uint64(0)
	for i := range s.Instances {
		total += weightOf(&s.Instances[i])
	}
	// The measure is a power of two, so that places stay where they are while the average changes, until it has doubled.
	measure := uint64(1) << (bits.Len64(total/uint64(len(s.Instances))) - 1)

	stale = make([]bool, len(before.seats))
	for seat := range stale {
		stale[seat] = true // until its owner is found to be the same
	}
	var standing []int // who was not there before
	occupy := func(i int, at int32, node *seatLoad) (places int) {
		inst := &s.Instances[i]
		places = int(max(weightOf(inst)*usual/measure, 1))
		r.seats[at] = seat{node: node, index: int32(i), share: float64(weightOf(inst)) / float64(total)}
		r.byID[inst.ID] = sitting{node: node, seat: at, places: places}
		return places
	}
	for i := range s.Instances {
		was, ok := before.byID[s.Instances[i].ID]
		if !ok {
			standing = append(standing, i)
			continue
		}
		if n := occupy(i, was.seat, was.node); n == was.places {
			stale[was.seat] = false
		} else {
			fresh = appendPlaces(fresh, s.Instances[i].ID, was.seat, n)
		}
	}
	free := int32(0)
	for _, i := range standing {
		for int(free) < len(r.seats) && r.seats[free].node != nil {
			free++
		}
		if int(free) == len(r.seats) {
			r.seats = append(r.seats, seat{})
		}
		id := s.Instances[i].ID
		fresh = appendPlaces(fresh, id, free, occupy(i, free, loadOf(id)))
	}
	// A seat that nobody had before has no places that could go.
	for seat := range stale {
		stale[seat] = stale[seat] && before.seats[seat].node != nil
	}
	return stale, fresh
}

// loadOf finds what an instance has in flight, which outlasts its being away for a few snapshots.
func (r *ring) loadOf(id string, family []*ring) *seatLoad {
	for _, before := range family {
		if was, ok := before.byID[id]; ok {
			return was.node
		}
		for _, node := range before.away {
			if node.id == id {
				return node
			}
		}
	}
	return r.total.newLoad(id)
}

// appendPlaces appends those of an instance. Those of a smaller weight are among those of a larger one.
func appendPlaces(places []place, id string, seat int32, n int) []place {
	hash := hashOf(id)
	for range n {
		hash += 0x9e3779b97f4a7c15
		places = append(places, place{mix(hash), seat})
	}
	return places
}

// merged returns the old places without those of stale seats, and the fresh ones, in order.
func merged(old []place, stale []bool, fresh []place) []place {
	slices.SortFunc(fresh, func(a, b place) int { return cmp.Compare(a.hash, b.hash) })
	all := make([]place, 0, len(old)+len(fresh))
	for _, p := range old {
		if stale[p.seat] {
			continue
		}
		for len(fresh) > 0 && fresh[0].hash < p.hash {
			all, fresh = append(all, fresh[0]), fresh[1:]
		}
		all = append(all, p)
	}
	return append(all, fresh...)
}

// point makes the guide: one or two places for each step.
func (r *ring) point() {
	width := max(bits.Len(uint(len(r.places)))-1, 1)
	r.shift = 64 - width
	r.guide = make([]int32, 1<<width)
	at := int32(0)
	for step := range r.guide {
		for int(at) < len(r.places) && r.places[at].hash < uint64(step)<<r.shift {
			at++
		}
		r.guide[step] = at
	}
}

// remember keeps an eye on those who went with requests in flight, which are no part of what the others share.
func (r *ring) remember(family []*ring) {
	seen := make(map[*seatLoad]bool, len(r.byID))
	for _, is := range r.byID {
		seen[is.node] = true
	}
	see := func(node *seatLoad) {
		if !seen[node] && node.inFlight.Load() > 0 {
			seen[node] = true
			r.away = append(r.away, node)
		}
	}
	for _, before := range family {
		for _, node := range before.away {
			see(node)
		}
		for _, was := range before.byID {
			see(was.node)
		}
	}
}
