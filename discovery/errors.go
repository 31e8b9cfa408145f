package discovery

import (
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/mirror"
	"etcdkit/session"
)

var (
	// ErrNoInstance says that nobody takes requests. It is always found through a *NoInstanceError.
	ErrNoInstance = errors.New("no instance")
	// ErrTaken says that somebody else is registered with the same ID. It is always found through a *TakenError.
	ErrTaken = errors.New("the ID is taken")
	// ErrUnknown says that there is no instance of that ID.
	ErrUnknown = errors.New("no instance has this ID")
	// ErrMassLoss says that most instances vanished at once without having left, and are kept for now (Snapshot.Probation).
	ErrMassLoss = errors.New("most instances vanished at once and are kept on probation")
	// ErrClosed says that the View was closed.
	ErrClosed = errors.New("closed")
	// ErrRewound says that the history of the cluster is not the one that was followed: it was restored from a backup, or another
	// cluster answers. A View keeps what it has, and a program that means to go on with what etcd has now must watch anew. Registrations
	// see to it by themselves that they are there.
	ErrRewound = mirror.ErrRewound
)

// NoInstanceError tells of a service without anybody who takes requests. It unwraps to ErrNoInstance, and to Err.
type NoInstanceError struct {
	Service   string
	Draining  int   // who is there, but leaving
	Unhealthy int   // who is there, but says that it is not well
	Err       error // what keeps the list from being fresh, if anything does
}

// Error names the service, and who would be there.
func (e *NoInstanceError) Error() string {
	text := fmt.Sprintf("discovery %q: %v", e.Service, ErrNoInstance)
	if e.Draining+e.Unhealthy > 0 {
		text += fmt.Sprintf(" (%d unhealthy, %d draining)", e.Unhealthy, e.Draining)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap lets errors.Is find ErrNoInstance and what is wrong.
func (e *NoInstanceError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrNoInstance}
	}
	return []error{ErrNoInstance, e.Err}
}

// TakenError tells who has the ID. It unwraps to ErrTaken.
type TakenError struct {
	ID    string
	Addr  string           // that stands there; "" if it cannot be read, or is of this very session
	Lease clientv3.LeaseID // of who put it; zero if it has none, or is of this very session
	Key   string           // of etcd's own record, if it is that which is somebody else's (WithEndpoints); else ""
}

// Error names the ID and its owner.
func (e *TakenError) Error() string {
	if e.Key != "" {
		return fmt.Sprintf("%v: %q stands at the key %q for %q under lease %x", ErrTaken, e.ID, e.Key, e.Addr, int64(e.Lease))
	}
	if e.Lease == clientv3.NoLease && e.Addr == "" {
		return fmt.Sprintf("%v: %q is registered by this session already", ErrTaken, e.ID)
	}
	return fmt.Sprintf("%v: %q is registered for %q under lease %x", ErrTaken, e.ID, e.Addr, int64(e.Lease))
}

// Unwrap returns ErrTaken.
func (e *TakenError) Unwrap() error { return ErrTaken }

// wrap puts the name of the service before an error, if there is one.
func wrap(service string, err error) error {
	if err == nil || errors.Is(err, session.ErrBadName) {
		return err // it has the name in it, and may say how long that is
	}
	return fmt.Errorf("discovery %q: %w", service, err)
}
