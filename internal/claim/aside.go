package claim

import "context"

// stepAsideLocked lets the line go on behind a key that can be shared: the key stays until all who hold by it have left, and stands in the
// line like that of another session.
func (l *Line) stepAsideLocked() {
	s := l.stake
	s.aside, l.stake = true, nil
	l.taken[s.key] = true
}

// steppedAside tells whether the line goes on without the stake.
func (s *stake) steppedAside() bool {
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	return s.aside
}

// release deletes the key, and lets the line go on unless it has long gone on.
func (s *stake) release(ctx context.Context) error {
	if !s.steppedAside() {
		t, err := s.line.handOver(ctx, s)
		s.pass(t)
		return err
	}
	d := s.remains()
	sure, err := s.line.remove(ctx, d)
	if err != nil {
		s.line.removeLater(d)
		return err
	}
	return s.missing(sure)
}

// remains is what is left in the line of a stake that is over.
func (s *stake) remains() *debt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &debt{epoch: s.epoch, key: s.key, rev: s.rev, doubt: s.given}
}

// remove deletes the key of a stake that has stepped aside, and gives its name back.
func (l *Line) remove(ctx context.Context, d *debt) (sure bool, err error) {
	sure, _, err = l.drop(ctx, d)
	if err == nil {
		l.free(d.key)
		l.close()
	}
	return sure, err
}

// removeLater has the janitor do it.
func (l *Line) removeLater(d *debt) {
	l.hub.CleanUp("line "+l.prefix, func(ctx context.Context) error {
		_, err := l.remove(ctx, d)
		return err
	})
}
