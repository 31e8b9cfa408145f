package election

import (
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"etcdkit/internal/claim"
	"etcdkit/session"
)

var (
	// ErrNoLeader says that nobody leads.
	ErrNoLeader = errors.New("nobody leads")
	// ErrUnknownCandidate says that no candidate, or more than one, is meant by what was given for it.
	ErrUnknownCandidate = errors.New("no such candidate")
	// ErrLeading says that the candidate leads already.
	ErrLeading = errors.New("it leads already")
	// ErrForeignAhead says that a candidate cannot be passed over, since its key was not put by this kit: nothing says that its owner
	// would stand again.
	ErrForeignAhead = errors.New("a candidate ahead of it is not of this kit")
	// ErrTooManyAhead says that more than 100 candidates would have to be passed over, which one transaction cannot.
	ErrTooManyAhead = fmt.Errorf("more than %d candidates are ahead of it", claim.MaxAhead)
	// ErrForeignLeader says that the leader takes no requests, since its key was not put by this kit.
	ErrForeignLeader = errors.New("the leader is not of this kit")
	// ErrRefused says that the leader did not do what it was asked to. The error that wraps it tells why.
	ErrRefused = errors.New("refused by the leader")
	// ErrUnhealthy is the cause with which a term ends whose process is not healthy (WithHealth). The error that wraps it tells why.
	ErrUnhealthy = errors.New("not healthy")
)

// wrap puts the name before an error, and the key where the right to it is missing.
func (e *Election) wrap(err error) error {
	if errors.Is(err, session.ErrBadName) {
		return err // it has the name in it, and may say how long that is
	}
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return fmt.Errorf("election %q (keys below %q): %w", e.name, e.prefix(), err)
	}
	return fmt.Errorf("election %q: %w", e.name, err)
}
