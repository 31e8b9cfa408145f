package nemesis

import "context"

// clients are faults of workers.
var clients = []Fault{
	{ID: "F1", Name: "client killed", Counts: "workers", Lasts: 0.3, Begin: func(_ context.Context, s *Scene) (End, error) {
		m, err := s.victim()
		if err != nil {
			return nil, err
		}
		m.Kill()
		return once, nil
	}},
	{ID: "F2", Name: "client frozen for a moment", Counts: "workers", Lasts: 0.3, Begin: freeze},
	{ID: "F2", Name: "client frozen past its TTL", Counts: "workers", Lasts: 2, Begin: freeze},
}

func freeze(_ context.Context, s *Scene) (End, error) {
	m, err := s.victim()
	if err != nil {
		return nil, err
	}
	return func(context.Context) (int64, error) { return 1, s.Crew.Thaw(m) }, s.Crew.Freeze(m)
}
