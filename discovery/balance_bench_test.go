package discovery

import (
	"fmt"
	"testing"
)

// BenchmarkPick is one pick among 1000 with its done, in parallel.
func BenchmarkPick(b *testing.B) {
	ring := ConsistentHash()
	keys := make([]KeyPicker, 1024)
	for i := range keys {
		keys[i] = ring.Key(fmt.Sprint("user-", i))
	}
	one := func(p Picker) func(int) Picker { return func(int) Picker { return p } }
	for _, bench := range []struct {
		name string
		pick func(i int) Picker
	}{
		{"rr", one(RoundRobin())},
		{"weighted", one(Weighted())},
		{"p2c", one(LeastLoaded())},
		{"hash", func(i int) Picker { return &keys[i%len(keys)] }},
		{"zone", one(ZoneFirst("z", RoundRobin()))},
		{"ejection", one(Ejection(RoundRobin()))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := alike(1000)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					_, done, err := bench.pick(i).Pick(s)
					if err != nil {
						b.Fatal(err)
					}
					done(nil)
				}
			})
		})
	}
}

// BenchmarkChange is the first pick after one of 1000 came or went.
func BenchmarkChange(b *testing.B) {
	all := alike(1001)
	for _, bench := range []struct {
		name string
		p    Picker
	}{{"weighted", Weighted()}, {"p2c", LeastLoaded()}, {"hash", ConsistentHash().Key("a")}, {"ejection", Ejection(RoundRobin())}} {
		b.Run(bench.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s := all.part(all.Instances[i%2 : 1000+i%2])
				_, done, err := bench.p.Pick(s)
				if err != nil {
					b.Fatal(err)
				}
				done(nil)
			}
		})
	}
}
