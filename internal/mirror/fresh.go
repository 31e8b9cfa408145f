package mirror

import (
	"context"
	"log/slog"
	"time"
)

// freshness is what is known about being in step.
type freshness struct {
	proof time.Time // when the state was last known to be etcd's
	stale bool      // something happened since that casts doubt on it
	told  bool      // and the log has been told
	why   error     // what casts the doubt
}

// Stale returns zero while the mirror is in step with etcd, as far as is known, else for how long that is not proven.
func (m *Mirror) Stale() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fresh.stale {
		return 0
	}
	return max(time.Since(m.fresh.proof), 1) // never zero, however coarse the clock
}

// confirm notes that the state is the one of a read begun at that time, or newer.
func (m *Mirror) confirm(at time.Time) {
	m.mu.Lock()
	again, wake := m.confirmLocked(at)
	m.mu.Unlock()
	wakeAll(wake)
	if again {
		m.log.Info("mirror is in step again")
	}
}

// confirmLocked is confirm, and returns whether the log was told of the doubt, and whom to wake.
func (m *Mirror) confirmLocked(at time.Time) (again bool, wake []*subscription) {
	again = m.fresh.told
	m.fresh = freshness{proof: at}
	return again, m.turnLocked()
}

// doubt notes that the state may be old, and why. The log is told once for each outage.
func (m *Mirror) doubt(err error) {
	m.mu.Lock()
	level := slog.LevelWarn
	if m.fresh.told {
		level = slog.LevelDebug
	}
	m.fresh.stale, m.fresh.told, m.fresh.why = true, true, err
	m.last = err
	wake := m.turnLocked()
	m.mu.Unlock()
	wakeAll(wake)
	m.log.Log(context.Background(), level, "mirror is out of step", "error", err)
}
