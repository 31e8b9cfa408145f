package worker

import (
	"context"
	"errors"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"etcdkit/integration/history"
	"etcdkit/session"
)

// A job is what workers do. Another one is a file of its own, and a line in jobs.
type job struct {
	// line is the prefix of the keys that compete for a name.
	line func(s *session.Session, name string) string
	// begin returns what a worker does again and again. False: it did not get what it wanted.
	begin func(w *worker) (round func(ctx context.Context) bool)

	size    int                                     // how many permits there are, of a semaphore that is shared
	portion func(key, value string) history.Portion // what a key that comes takes; nil if each takes all
}

var jobs = map[string]job{
	"mutex":     mutex,
	"rwmutex":   writer,
	"readers":   readers,
	"semaphore": permit,
	"permits":   permits,
	"election":  leader,
}

// Jobs are the names of all jobs.
func Jobs() []string { return slices.Sorted(maps.Keys(jobs)) }

// outcome is the word for an error.
func outcome(err error) history.Outcome {
	var lost *session.LostError
	switch {
	case err == nil:
		return history.Fine
	case errors.As(err, &lost):
		return reasons[lost.Reason]
	case errors.Is(err, session.ErrReleased):
		return history.Released
	case errors.Is(err, session.ErrClosed):
		return history.Closed
	case errors.Is(err, session.ErrUncertain):
		return history.Uncertain
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return history.Denied
	}
	return history.Outcome(err.Error())
}

var reasons = map[session.Reason]history.Outcome{
	session.Expired:    history.Expired,
	session.Revoked:    history.Revoked,
	session.Deleted:    history.Deleted,
	session.Permission: history.Permission,
}
