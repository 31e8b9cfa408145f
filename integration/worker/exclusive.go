package worker

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/integration/history"
	"etcdkit/lock"
	"etcdkit/session"
)

// held is what a worker has had.
type held interface {
	Context() context.Context
	Token() session.Token
	Guard() clientv3.Cmp
	release(ctx context.Context) error
}

type hold struct{ *lock.Hold }

func (h hold) release(ctx context.Context) error { return h.Unlock(ctx) }

type term struct{ *election.Term }

func (t term) release(ctx context.Context) error { return t.Resign(ctx) }

// exclusive makes a job of something that one worker at a time can have: it takes it, writes under its guard, and lets go of it.
func exclusive(line func(s *session.Session, name string) string, taker func(s *session.Session, name string) func(context.Context) (held, error)) job {
	return job{line: line, begin: func(w *worker) func(context.Context) bool {
		take := taker(w.session, w.spec.Name)
		return func(ctx context.Context) bool { return w.once(ctx, history.Portion{}, take) }
	}}
}

// locking is exclusive for what a lock.Hold is had of.
func locking(line func(*session.Session, string) string, take func(*session.Session, string) func(context.Context) (*lock.Hold, error)) job {
	return exclusive(line, func(s *session.Session, name string) func(context.Context) (held, error) {
		return holding(take(s, name))
	})
}

// holding makes what a worker holds of a lock.Hold.
func holding(take func(context.Context) (*lock.Hold, error)) func(context.Context) (held, error) {
	return func(ctx context.Context) (held, error) {
		h, err := take(ctx)
		return hold{h}, err
	}
}

var (
	mutex = locking(
		func(s *session.Session, name string) string { return lock.NewMutex(s, name).Key() + "/" },
		func(s *session.Session, name string) func(context.Context) (*lock.Hold, error) {
			return lock.NewMutex(s, name).Lock
		},
	)
	writer = locking(
		lineOfRWMutex,
		func(s *session.Session, name string) func(context.Context) (*lock.Hold, error) {
			return lock.NewRWMutex(s, name).Lock
		},
	)
	// One permit is as exclusive as a lock, and how it is waited for has nothing in common with that.
	permit = locking(
		lineOfSemaphore,
		func(s *session.Session, name string) func(context.Context) (*lock.Hold, error) {
			one := lock.NewSemaphore(s, name, 1)
			return func(ctx context.Context) (*lock.Hold, error) { return one.Acquire(ctx, 1) }
		},
	)
	leader = exclusive(
		func(s *session.Session, name string) string { return election.New(s, name).Key() + "/" },
		func(s *session.Session, name string) func(context.Context) (held, error) {
			e := election.New(s, name)
			return func(ctx context.Context) (held, error) {
				t, err := e.Campaign(ctx)
				return term{t}, err
			}
		},
	)
)

// once is one round: it takes the portion, and holds it.
func (w *worker) once(ctx context.Context, what history.Portion, take func(context.Context) (held, error)) bool {
	call, cancel, due := w.patient(ctx)
	defer cancel()
	hold := history.Hold{Name: w.spec.Name, Client: w.spec.Client, Portion: what, Asked: Now()}
	h, err := take(call)
	if err != nil {
		w.say(Line{Failed: &history.Call{
			Name: hold.Name, Client: hold.Client, Asked: hold.Asked, Due: due(), Ended: Now(), Error: err.Error(),
		}})
		return false
	}
	hold.From, hold.Due, hold.Token = Now(), due(), int64(h.Token())
	w.hold(ctx, h, hold)
	return true
}
