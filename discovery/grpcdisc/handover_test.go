package grpcdisc

import (
	"strings"
	"testing"

	"etcdkit/discovery"
)

func listOf(ids string) (insts []discovery.Instance) {
	for _, id := range strings.Fields(ids) {
		insts = append(insts, discovery.Instance{ID: id, Addr: id + ":1"})
	}
	return insts
}

func TestHandover(t *testing.T) {
	t.Parallel()
	type step struct{ instances, draining, want string } // want is "" where the handover is over
	for name, test := range map[string]struct {
		before string
		steps  []step
	}{
		"they come back":         {"a b c d", []step{{"", "", "a b c d"}, {"c", "", "a b c d"}, {"a c", "", ""}}},
		"most are there at once": {"a b c", []step{{"a b", "", ""}}},
		"others come":            {"a b c", []step{{"x", "", "a b c x"}, {"x y", "", ""}}},
		"one drains, and goes":   {"a b c d", []step{{"", "b", "a c d"}, {"", "", "a c d"}}},
		"one comes, and goes":    {"a b c d", []step{{"d", "", "a b c d"}, {"", "", "a b c"}}},
		"there was nobody":       {"", []step{{"", "", ""}}},
		"the only one":           {"a", []step{{"", "", "a"}, {"a", "", ""}}},
	} {
		h := newHandover(&discovery.Snapshot{Instances: listOf(test.before)})
		for i, s := range test.steps {
			now := &discovery.Snapshot{Instances: listOf(s.instances), Draining: listOf(s.draining)}
			if goesOn := h.takes(now); goesOn != (s.want != "") {
				t.Errorf("%s: step %d: it goes on: %v", name, i, goesOn)
			}
			if s.want == "" {
				break
			}
			var ids []string
			for _, inst := range h.merged(now).Instances {
				ids = append(ids, inst.ID)
			}
			if got := strings.Join(ids, " "); got != s.want || len(now.Instances) != len(listOf(s.instances)) {
				t.Errorf("%s: step %d: %q, want %q", name, i, got, s.want)
			}
		}
	}
	if newHandover(nil).takes(new(discovery.Snapshot)) {
		t.Error("there is a handover from nothing")
	}
}
