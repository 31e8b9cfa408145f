package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// semaphores is the segment under which the keys of semaphores stand, and what errors call them.
const semaphores = "semaphore"

// ErrTooMany says that more permits are wanted than the semaphore has. It is found through a *TooManyError unless the number itself is
// none.
var ErrTooMany = errors.New("more permits than there are")

// TooManyError says how many permits were wanted, and how many the semaphore has. It unwraps to ErrTooMany.
type TooManyError struct {
	Name         string // of the semaphore
	Wanted, Size int
}

// Error names the semaphore and both figures.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("semaphore %q: %d permits are wanted, and there are %d", e.Name, e.Wanted, e.Size)
}

// Unwrap returns ErrTooMany.
func (e *TooManyError) Unwrap() error { return ErrTooMany }

// Semaphore is a name in etcd with a number of permits, of which each holder takes one or more, in the whole fleet. Callers are served in the
// order in which they came: who wants many permits is not overtaken by those who want few. It keeps no state, and is safe for
// concurrent use.
type Semaphore struct {
	line line
	size int // as long as none is agreed on
}

// NewSemaphore returns the semaphore of that name. The size counts until Resize sets one in etcd, so it has to be the same everywhere. It
// touches nothing; a bad name and a size below one are the error of the first call.
func NewSemaphore(s *session.Session, name string, size int, opts ...Option) *Semaphore {
	sem := &Semaphore{line: newLine(s, semaphores, name, opts), size: size}
	if sem.line.bad == nil && !validSize(size) {
		sem.line.bad = fmt.Errorf("a size of %d", size)
	}
	return sem
}

// validSize also has an upper bound, so that sums are never too large.
func validSize(size int) bool { return size > 0 && size <= claim.MaxPermits }

// Key is where the semaphore stands in etcd; its size stands at this key with ".size" behind it. It is empty if the name is bad.
func (s *Semaphore) Key() string { return s.line.key }

// Acquire waits until n permits are free for this caller, for as long as ctx lives, also while etcd is unreachable or leases are lost; ctx
// bounds the wait and not the hold. All of them are one Hold, with one token, and are given back by its Unlock. It returns a
// *TooManyError when n is more than the size: at once, or, if Resize makes it so meanwhile, when it is the first of its session's callers; and an
// error at once if n is below one, etcd refuses (no permission, no space) or the session is closed. Of the callers of one session
// only the first waits in etcd, the others in memory.
func (s *Semaphore) Acquire(ctx context.Context, n int) (*Hold, error) {
	return s.take(ctx, claim.Acquire, n)
}

// TryAcquire takes n permits if they are free and nobody waits, and else returns a *HeldError at once; or an error as Acquire does. It costs
// one read, and two more the first time to learn who holds, while they are not free, and else a read and a transaction.
func (s *Semaphore) TryAcquire(ctx context.Context, n int) (*Hold, error) {
	return s.take(ctx, claim.Try, n)
}

func (s *Semaphore) take(ctx context.Context, how how, n int) (*Hold, error) {
	if s.line.bad == nil && n <= 0 {
		return nil, s.line.wrap(fmt.Errorf("%d permits are wanted", n))
	}
	if s.line.bad == nil && n > s.size { // else it waits for its turn within the session before it is told
		if size, err := s.Size(ctx); err != nil || n > size {
			return nil, cmp.Or(err, error(&TooManyError{Name: s.line.name, Wanted: n, Size: size}))
		}
	}
	h, err := s.line.take(ctx, how, claim.Claim{Own: true, Gate: true, Rule: claim.Permits(n, s.size, s.sizeKey())})
	var many *claim.TooManyError
	if errors.As(err, &many) {
		return nil, &TooManyError{Name: s.line.name, Wanted: many.Wanted, Size: many.Size}
	}
	return h, err
}

// Do acquires n permits, runs fn once, and gives them back: see Mutex.Do.
func (s *Semaphore) Do(ctx context.Context, n int, fn func(ctx context.Context, h *Hold) error) error {
	return do(ctx, func(ctx context.Context) (*Hold, error) { return s.Acquire(ctx, n) }, fn)
}

// Size returns how many permits there are: what Resize has set, or else what NewSemaphore was given.
func (s *Semaphore) Size(ctx context.Context) (int, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	size, err := s.agreed(ctx)
	if err != nil {
		return 0, s.line.wrap(retry.BothEnds(ctx, err))
	}
	return size, nil
}

// Resize sets how many permits there are, for all, until the next Resize. A larger size lets those in for whom there is room then, who
// learn of it within some 0.1 s. A smaller one takes nothing from who holds, or for whom room was made before: there is room again when
// enough has been given back; who waits for more permits than that gets a *TooManyError. With session.ErrUncertain no answer came while ctx lived; sent again, it does no harm.
func (s *Semaphore) Resize(ctx context.Context, size int) error {
	if err := s.usable(); err != nil {
		return err
	}
	if !validSize(size) {
		return s.line.wrap(fmt.Errorf("a size of %d", size))
	}
	sent := false
	err := s.line.hub.Do(ctx, "write "+s.sizeKey(), func(ctx context.Context) error {
		for {
			known, err := s.line.hub.Client.Get(ctx, s.sizeKey(), clientv3.WithKeysOnly())
			if err != nil {
				return err
			}
			sent = true
			done, err := s.write(ctx, size, known.Kvs)
			if err != nil || done {
				return err
			}
		}
	})
	if err != nil && sent && retry.Of(err) == retry.Unknown {
		err = fmt.Errorf("%w: %w", session.ErrUncertain, err)
	}
	if err != nil {
		return s.line.wrap(retry.BothEnds(ctx, err))
	}
	return nil
}

// write sets the size, unless somebody else has done so since it was read: a request that is late must not undo what came after it.
func (s *Semaphore) write(ctx context.Context, size int, known []*mvccpb.KeyValue) (done bool, err error) {
	rev := int64(0)
	if len(known) > 0 {
		rev = known[0].ModRevision
	}
	resp, err := s.line.hub.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(s.sizeKey()), "=", rev)).
		Then(clientv3.OpPut(s.sizeKey(), strconv.Itoa(size))).
		Commit()
	return err == nil && resp.Succeeded, err
}

// Owners lists who holds permits and who waits for some, in their order; Owner.Permits tells how many. Of the callers of one session that
// wait only the first is among them. While the size is smaller than what was given out, holders may look like waiters.
func (s *Semaphore) Owners(ctx context.Context) ([]Owner, error) {
	return s.line.owners(ctx, func(ctx context.Context, owners []claim.Owner) error {
		size, err := s.agreed(ctx)
		claim.MarkPermits(owners, size)
		return err
	})
}

// sizeKey stands outside of the line, in which each key takes permits.
func (s *Semaphore) sizeKey() string { return s.line.key + ".size" }

// usable is what keeps every call from being made.
func (s *Semaphore) usable() error {
	err := cmp.Or(s.line.bad, s.line.hub.Check())
	if err != nil {
		return s.line.wrap(err)
	}
	return nil
}

// agreed reads the size.
func (s *Semaphore) agreed(ctx context.Context) (int, error) {
	var kvs []*mvccpb.KeyValue
	err := s.line.hub.Do(ctx, "read "+s.sizeKey(), func(ctx context.Context) error {
		resp, err := s.line.hub.Client.Get(ctx, s.sizeKey())
		if err == nil {
			kvs = resp.Kvs
		}
		return err
	})
	return cmp.Or(claim.ParseSize(kvs), s.size), err
}
