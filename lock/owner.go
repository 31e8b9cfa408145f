package lock

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
	"etcdkit/session"
)

// ErrHeld says that somebody else holds the lock, or waits for it. It is always found through a *HeldError.
var ErrHeld = errors.New("held by somebody else")

// HeldError says who keeps a lock from being taken. It unwraps to ErrHeld.
type HeldError struct {
	Name  string // of the lock
	Owner Owner  // who holds it, as far as is known; or this session itself, if it waits in line

	kind string // "" for a lock
}

// Error names the lock and its owner.
func (e *HeldError) Error() string {
	verb := "held by"
	if !e.Owner.Holder {
		verb = "waited for by"
	}
	return fmt.Sprintf("%s %q: %s %s", cmp.Or(e.kind, kind), e.Name, verb, e.Owner)
}

// Unwrap returns ErrHeld.
func (e *HeldError) Unwrap() error { return ErrHeld }

// Owner is a session that holds a lock or waits for it.
type Owner struct {
	Key    string           // its key in the line
	Token  session.Token    // its fencing token, which counts once it holds
	Lease  clientv3.LeaseID // that the key is attached to
	Holder bool             // it holds; the others wait

	Read    bool // it is a reader; the others exclude everybody
	Permits int  // of a semaphore; 0 for a key that was not put by this kit, which takes all of them

	// What its session says of itself. It is all zero for a key that was not put by this kit.
	Host   string
	PID    int
	Since  time.Time // when the session was opened
	Labels map[string]string
}

func newOwner(o claim.Owner) Owner {
	return Owner{
		Key: o.Key, Token: o.Token, Lease: o.Lease, Holder: o.Holder,
		Read: o.Reads(), Permits: o.Permits(),
		Host: o.Info.Host, PID: o.Info.PID, Since: o.Info.Since, Labels: o.Info.Labels,
	}
}

// String says who it is, in the words of its session, or by its key.
func (o Owner) String() string {
	who := "the owner of key " + o.Key
	if o.Host != "" || o.PID != 0 {
		who = fmt.Sprintf("%s, process %d", o.Host, o.PID)
	}
	if o.Token != 0 {
		who += fmt.Sprintf(", token %d", o.Token)
	}
	return who
}
