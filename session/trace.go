package session

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Trace is a set of functions that are called at the turns of a session's life and of the claims under it: for metrics and
// tracing. Any of them may be nil. They are called from the kit's own goroutines and must not block.
type Trace struct {
	// Granted: a lease was granted, or a lease that was believed lost turned out to be alive (again): a new epoch begins.
	Granted func(id clientv3.LeaseID, ttl time.Duration, again bool)
	// Renewed: a renewal was acknowledged after took. left is how much of the trusted time remained at that moment:
	// its minimum tells how close the session came to a loss.
	Renewed func(id clientv3.LeaseID, took, left time.Duration)
	// Lost: an epoch ended. Everything held in it has ended with the same error.
	Lost func(id clientv3.LeaseID, err error)
	// Retried: a request failed and will be sent again. op says what it was for.
	Retried func(op string, err error)
	// Queued: a caller waits in memory, behind another one of this session. line is the prefix of the keys in line.
	Queued func(line string)
	// Waiting: a key of this session waits in etcd for others to leave the line.
	Waiting func(line string)
	// Acquired: a claim was won after waited.
	Acquired func(key string, token Token, waited time.Duration)
	// Released: a claim ended, by release or loss, after held.
	Released func(key string, token Token, held time.Duration)
}

// filled returns a Trace whose functions can all be called.
func (t Trace) filled() Trace {
	if t.Granted == nil {
		t.Granted = func(clientv3.LeaseID, time.Duration, bool) {}
	}
	if t.Renewed == nil {
		t.Renewed = func(clientv3.LeaseID, time.Duration, time.Duration) {}
	}
	if t.Lost == nil {
		t.Lost = func(clientv3.LeaseID, error) {}
	}
	if t.Retried == nil {
		t.Retried = func(string, error) {}
	}
	if t.Queued == nil {
		t.Queued = func(string) {}
	}
	if t.Waiting == nil {
		t.Waiting = func(string) {}
	}
	if t.Acquired == nil {
		t.Acquired = func(string, Token, time.Duration) {}
	}
	if t.Released == nil {
		t.Released = func(string, Token, time.Duration) {}
	}
	return t
}
