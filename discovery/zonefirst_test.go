package discovery

import (
	"fmt"
	"math"
	"testing"
)

// zoned returns a snapshot with so many instances in each zone.
func zoned(zones map[string]int) *Snapshot {
	s := new(Snapshot)
	for zone, n := range zones {
		for i := range n {
			s.Instances = append(s.Instances, Instance{ID: fmt.Sprint(zone, i), Zone: zone})
		}
	}
	return s
}

func TestZoneFirst(t *testing.T) {
	t.Parallel()
	tests := []struct {
		zones map[string]int
		zone  string
		want  float64 // share of zone a
	}{
		{map[string]int{"a": 3, "b": 3}, "a", 1},
		{map[string]int{"a": 3, "b": 4}, "a", 1},
		{map[string]int{"a": 3}, "a", 1},
		{map[string]int{"a": 1, "b": 3, "c": 2}, "a", 0.5 / 0.7},
		{map[string]int{"a": 1, "b": 9}, "a", 0.2 / 0.7},
		{map[string]int{"b": 3}, "a", 0},
		{map[string]int{"a": 2, "b": 2}, "elsewhere", 0.5},
		{map[string]int{"a": 2, "b": 2}, "", 0.5},
	}
	for _, test := range tests {
		const n = 20_000
		counts := spread(t, ZoneFirst(test.zone, RoundRobin()), zoned(test.zones), n)
		got := 0.0
		for id, count := range counts {
			if id[0] == 'a' {
				got += float64(count) / n
			}
		}
		if got < test.want-0.02 || got > test.want+0.02 {
			t.Errorf("%v, from %q: zone a got %.3f, want %.3f", test.zones, test.zone, got, test.want)
		}
	}
}

func TestZoneFirstWithAKey(t *testing.T) {
	t.Parallel()
	z, ring, s := ZoneFirst("a", RoundRobin()), ConsistentHash(), zoned(map[string]int{"a": 5, "b": 5})
	counts := spread(t, z.With(ring.Key("user-7")), s, 100)
	if len(counts) != 1 {
		t.Errorf("one key went to %v", counts)
	}
	for id := range counts {
		if id[0] != 'a' {
			t.Errorf("it went to %s, in another zone", id)
		}
	}
}

// TestZoneFirstBoundsTheLoadOfEachZone: what the others have in flight gives nobody of this one a larger share, also as instances come and go.
func TestZoneFirstBoundsTheLoadOfEachZone(t *testing.T) {
	t.Parallel()
	all := zoned(map[string]int{"a": 10, "b": 40})
	z, ring := ZoneFirst("a", nil, WithCapacity(1)), ConsistentHash() // 0.4 of the requests stay
	spread(t, z.With(ring.Key("x")), all, 100)                        // both parts are known while nothing is in flight
	inFlight := make(map[string]int)
	for round := range 4 {
		s := all
		if round > 0 {
			s = without(all, fmt.Sprint("a", round), fmt.Sprint("b", round))
		}
		for range 500 {
			inst, _, err := z.With(ring.Key("hot")).Pick(s)
			if err != nil {
				t.Fatal(err)
			}
			inFlight[inst.ID]++
			total, size := 0, 0
			for _, other := range s.Instances {
				if other.Zone == inst.Zone {
					total += inFlight[other.ID]
					size++
				}
			}
			if limit := int(math.Ceil(1.25 * float64(total) / float64(size))); inFlight[inst.ID] > limit {
				t.Fatalf("round %d: %s has %d of the %d requests of its zone, the limit being %d", round, inst.ID, inFlight[inst.ID], total, limit)
			}
		}
	}
}

// TestZoneFirstCostsNothingWithoutTheZone: what it found out is kept.
func TestZoneFirstCostsNothingWithoutTheZone(t *testing.T) {
	z, s := ZoneFirst("a", RoundRobin()), alike(1000)
	if n := testing.AllocsPerRun(100, func() { mustPick(t, z, s) }); n > 0 {
		t.Errorf("%v allocations for each pick", n)
	}
}
