package nemesis

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// store are faults of what etcd keeps.
var store = []Fault{
	{ID: "F10", Name: "compaction all the time", Counts: "compactions", Lasts: 1, Quiet: true, Begin: func(_ context.Context, s *Scene) (End, error) {
		return every(100*time.Millisecond, s.compact), nil
	}},
	{ID: "F10", Name: "compaction while clients are cut off", Counts: "compactions", Lasts: 1.5, Begin: func(_ context.Context, s *Scene) (End, error) {
		s.cut()
		end := every(100*time.Millisecond, s.compact)
		return func(ctx context.Context) (int64, error) {
			n, err := end(ctx)
			s.heal()
			return n, err
		}, nil
	}},
}

// compact drops all history up to now.
func (g *Ground) compact(ctx context.Context) (int64, error) {
	resp, err := g.sight.Put(ctx, "noise", "") // else there may be nothing to drop
	if err != nil {
		return 0, err
	}
	_, err = g.sight.Compact(ctx, resp.Header.Revision)
	if errors.Is(err, rpctypes.ErrCompacted) { // sent twice
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}
