package discovery

import (
	"fmt"
	"testing"

	"etcdkit/internal/mirror"
)

func BenchmarkViewInstances(b *testing.B) {
	v := Fixed(make([]Instance, 10_000)...)
	b.ReportAllocs()
	for b.Loop() {
		if len(v.Instances()) != 10_000 {
			b.Fatal("void")
		}
	}
}

// BenchmarkViewChange is one change of one instance among 5,000, and a read.
func BenchmarkViewChange(b *testing.B) {
	v := offline(b, "api", "")
	items := bigService(5000)
	v.apply(&mirror.Update{Puts: items, Revision: 1}, true)
	b.ReportAllocs()
	rev := int64(1)
	for b.Loop() {
		rev++
		changed := *items[int(rev)%5000].Item
		changed.ModRevision = rev
		v.apply(&mirror.Update{Puts: []mirror.Put{{Item: &changed}}, Revision: rev}, false)
		if len(v.Instances()) != 5000 {
			b.Fatal("void")
		}
	}
}

// BenchmarkViewBoot is the first list of 10,000, as it was read.
func BenchmarkViewBoot(b *testing.B) {
	items := bigService(10_000)
	b.ReportAllocs()
	for b.Loop() {
		offline(b, "api", "").apply(&mirror.Update{Puts: items, Revision: 1}, true)
	}
}

func bigService(n int) (puts []mirror.Put) {
	for i := range n {
		text, err := (&record{Format: 1, TTL: 10, Instance: Instance{
			ID: fmt.Sprintf("%08d", i*7919%n), Addr: fmt.Sprintf("10.0.%d.%d:8080", i/256, i%256), Zone: "b", Weight: 2, Version: "1.2.3",
			Labels: map[string]string{"rack": "r7"},
		}}).encode()
		if err != nil {
			panic(err)
		}
		puts = append(puts, mirror.Put{Item: &mirror.Item{Key: fmt.Sprintf("p/discovery/api/@/%08d", i*7919%n), Value: []byte(text), ModRevision: 1}})
	}
	return puts
}
