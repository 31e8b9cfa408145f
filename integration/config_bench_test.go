package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"etcdkit/config"
	"etcdkit/integration/cluster"
)

// BenchmarkConfigPropagate takes the time from Put to the new value, with so many values beside it in this process.
func BenchmarkConfigPropagate(b *testing.B) {
	for _, values := range []int{1, 1000} {
		b.Run(fmt.Sprint(values), func(b *testing.B) {
			client, prefix := cluster.Shared(b), cluster.Prefix(b)
			s := open(b, client, prefix)
			var all []*config.Value[int]
			for i := range values {
				all = append(all, mustWatch(b, s, fmt.Sprintf("app/%d", i), -1))
			}
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				i := n % values
				begun := time.Now()
				mustPut(b, client, fmt.Sprintf("%s/config/app/%d", prefix, i), fmt.Sprint(n))
				for ch, err := range all[i].Changes(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					if ch.New == n {
						break
					}
				}
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Microseconds()), fmt.Sprintf("us-p%d", p))
			}
		})
	}
}

// BenchmarkConfigBoot opens a tree of 10,000 keys.
func BenchmarkConfigBoot(b *testing.B) {
	client, prefix := cluster.Shared(b), cluster.Prefix(b)
	fill(b, client, prefix+"/config/big/k", 10_000)
	s := open(b, client, prefix)
	for b.Loop() {
		v := mustWatch(b, s, "big", map[string]string{}, config.WithTree())
		if len(v.Get()) != 10_000 {
			b.Fatalf("%d keys", len(v.Get()))
		}
		_ = v.Close()
	}
}
