package worker

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"

	"etcdkit/integration/history"
	"etcdkit/lock"
	"etcdkit/session"
)

// manyPermits is how many there are of a semaphore that is shared. They are few, so that workers are in each other's way.
const manyPermits = 3

func lineOfRWMutex(s *session.Session, name string) string {
	return lock.NewRWMutex(s, name).Key() + "/"
}

func lineOfSemaphore(s *session.Session, name string) string {
	return lock.NewSemaphore(s, name, manyPermits).Key() + "/"
}

// readers take a lock for reading, and now and then for writing unless they are to take 1.
var readers = job{
	line: lineOfRWMutex,
	portion: func(_, value string) history.Portion {
		return history.Portion{Read: value == "shared"}
	},
	begin: func(w *worker) func(context.Context) bool {
		m := lock.NewRWMutex(w.session, w.spec.Name)
		return func(ctx context.Context) bool {
			if w.spec.Takes == 1 || rand.N(3) > 0 {
				return w.once(ctx, history.Portion{Read: true}, holding(m.RLock))
			}
			return w.once(ctx, history.Portion{}, holding(m.Lock))
		}
	},
}

// permits takes as many permits as it is to take, or any number of them up to all.
var permits = job{
	line: lineOfSemaphore,
	size: manyPermits,
	portion: func(key, _ string) history.Portion {
		n, _ := strconv.Atoi(key[strings.LastIndex(key, "~")+1:]) // 0 if it does not say it
		return history.Portion{Takes: n}
	},
	begin: func(w *worker) func(context.Context) bool {
		s := lock.NewSemaphore(w.session, w.spec.Name, manyPermits)
		return func(ctx context.Context) bool {
			n := w.spec.Takes
			if n == 0 {
				n = 1 + rand.N(manyPermits)
			}
			return w.once(ctx, history.Portion{Takes: n}, holding(func(ctx context.Context) (*lock.Hold, error) { return s.Acquire(ctx, n) }))
		}
	},
}
