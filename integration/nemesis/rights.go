package nemesis

import (
	"context"
	"strings"
)

// rights are faults of what the crew's user may do.
var rights = []Fault{
	{ID: "F14", Name: "rights taken away and given back", Counts: "refusals", Lasts: 1.5, Guarded: true, Begin: func(ctx context.Context, s *Scene) (End, error) {
		before := s.refusals()
		return func(ctx context.Context) (int64, error) {
			err := allow(ctx, s.sight)
			return s.refusals() - before, err
		}, forbid(ctx, s.sight)
	}},
}

// refusals counts the calls of the crew that were refused.
func (s *Scene) refusals() (n int64) {
	for _, m := range s.Crew.Members {
		for _, c := range m.Failed() {
			if strings.Contains(c.Error, "permission denied") {
				n++
			}
		}
	}
	return n
}
