package session

import (
	"errors"

	"etcdkit/internal/keyspace"
	"etcdkit/internal/mirror"
	"etcdkit/internal/retry"
)

var (
	// ErrLost says that something held was lost before it was released. It is always found through a *LostError.
	ErrLost = errors.New("lost")
	// ErrClosed says that the session was closed.
	ErrClosed = errors.New("session closed")
	// ErrReleased is the cause with which the context of something held ends when its holder lets go of it.
	ErrReleased = errors.New("released")
	// ErrUncertain says that a request may have happened, or may still happen: no answer to it was seen.
	ErrUncertain = retry.ErrUncertain
	// ErrRewound says that the history of the cluster is not the one that was followed: it was restored from a backup, or another cluster
	// answers. What was read before stays as it was, and is not followed any more: whoever means to go on with what etcd has now begins anew.
	ErrRewound = mirror.ErrRewound
	// ErrBadName says that a name, a prefix or a key cannot be used.
	ErrBadName = keyspace.ErrBadName
)

// Reason tells why something held was lost.
type Reason string

const (
	// Expired: no renewal was acknowledged in time. The context ends before the server can give the key away.
	Expired Reason = "the lease was not renewed in time"
	// Revoked: the server no longer knows the lease, though it should: an operator revoked it. What watches its own key may see
	// that go first, and says Deleted.
	Revoked Reason = "the lease was revoked"
	// Deleted: somebody else deleted the key.
	Deleted Reason = "the key was deleted by somebody else"
	// Permission: the right to renew was taken away.
	Permission Reason = "the permission to renew the lease was taken away"
)

// LostError tells why something held was lost. It unwraps to ErrLost.
type LostError struct {
	Reason Reason
	Err    error // what the last attempt to renew met, or nil
}

// Error says that it was lost, and why.
func (e *LostError) Error() string {
	text := "lost: " + string(e.Reason)
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Unwrap lets errors.Is find ErrLost and the error of the last renewal.
func (e *LostError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrLost}
	}
	return []error{ErrLost, e.Err}
}
