// Package history judges what happened, after the fact: records of what clients believed and of what the store held go in, violations come
// out. The checks are pure functions, so an old history can be judged again, and they have tests of their own.
package history

import "time"

// History is all that is known of one run. Times are nanoseconds on one clock.
type History struct {
	TTL    time.Duration `json:"ttl"`            // of the leases
	Size   int           `json:"size,omitempty"` // of the semaphores that the names are; 0 if they are locks
	Holds  []Hold        `json:"holds"`
	Calls  []Call        `json:"calls"` // of Lock that brought no hold
	Keys   []Key         `json:"keys"`
	Leases []Lease       `json:"leases"`
	Writes []Write       `json:"writes"` // as the clients saw them
	Stored []Stored      `json:"stored"` // as the store has them
	Ends   []End         `json:"ends"`

	Robberies    []Robbery     `json:"robberies"`
	Disturbances []Disturbance `json:"disturbances"`
}

// Hold is one hold of a lock, as its holder saw it.
type Hold struct {
	Name   string `json:"name"`
	Client string `json:"client"`
	Token  int64  `json:"token"`
	Portion

	Asked int64 `json:"asked"` // when Lock was called
	Due   int64 `json:"due"`   // when the ctx of Lock ended; 0 if it had not when Lock returned
	From  int64 `json:"from"`  // when Lock returned
	To    int64 `json:"to"`    // when the holder last believed: the context's end, or the call of Unlock
	Lost  bool  `json:"lost"`  // the context ended before a release

	Cause  Outcome `json:"cause,omitempty"`  // of the context's end
	Unlock Outcome `json:"unlock,omitempty"` // what Unlock said
	Again  Outcome `json:"again,omitempty"`  // and what it said when it was called once more
	Killed bool    `json:"killed,omitempty"` // the holder died: nobody knows how it would have ended
}

// Outcome is an error, as far as the judge wants to know it. What has no word here is the error's text.
type Outcome string

// The words for what Unlock says, and for why a context ended.
const (
	Fine       Outcome = "" // no error
	Released   Outcome = "released"
	Closed     Outcome = "closed"
	Expired    Outcome = "expired"
	Revoked    Outcome = "revoked"
	Deleted    Outcome = "deleted"
	Permission Outcome = "permission"
	Uncertain  Outcome = "uncertain"
	Denied     Outcome = "denied" // the release itself was refused
)

// loss tells whether the outcome is a loss with a reason.
func (o Outcome) loss() bool { return o == Expired || o == Revoked || o == Deleted || o == Permission }

// Call is a call of Lock that brought an error.
type Call struct {
	Name   string `json:"name"`
	Client string `json:"client"`
	Asked  int64  `json:"asked"`
	Due    int64  `json:"due"` // when its ctx ended; 0 if it had not when Lock returned
	Ended  int64  `json:"ended"`
	Error  string `json:"error"`
}

// Key is the life of one key in a line, as a referee saw it who watches the store. What was seen happened before.
type Key struct {
	Name    string `json:"name"`
	Token   int64  `json:"token"`   // create revision
	Created int64  `json:"created"` // when it was seen
	Deleted int64  `json:"deleted"` // when the deletion was seen; 0 if it was not
	Rev     int64  `json:"rev"`     // of the deletion
	Lease   int64  `json:"lease"`
	Portion
}

// Lease is the life of one lease.
type Lease struct {
	ID     int64  `json:"id"`
	Client string `json:"client"` // "" if its owner was killed before it could say so
	Seen   int64  `json:"seen"`   // when etcd last said that it is there, if it was asked
	Gone   int64  `json:"gone"`   // when etcd said that it is not; 0 if it did not
}

// Write is one write under a token to a store that checks it.
type Write struct {
	Name     string `json:"name"`
	Client   string `json:"client"`
	Token    int64  `json:"token"`
	Call     int64  `json:"call"`
	Return   int64  `json:"return"`
	Accepted bool   `json:"accepted"`
	Rev      int64  `json:"rev"` // the store's, of an accepted write
}

// Stored is a write that happened, whether or not its client heard of it.
type Stored struct {
	Name  string `json:"name"`
	Token int64  `json:"token"`
	Rev   int64  `json:"rev"`
}

// End is how a client ended.
type End struct {
	Client string `json:"client"`
	Name   string `json:"name"` // of the lock that it worked on
	At     int64  `json:"at"`
	Killed bool   `json:"killed"`
	Close  string `json:"close"` // what Session.Close said
	Left   int    `json:"left"`  // goroutines of the kit that were left some time after
	Stacks string `json:"stacks,omitempty"`
}

// Robbery is something that takes a hold away, or its holder's sense of time, in a way that no lock can help: what was robbed is judged as if
// its holder had believed until the robbery began. Exactly the holds are meant that all of its parts fit.
type Robbery struct {
	How    string `json:"how"`
	Client string `json:"client,omitempty"` // that was frozen
	Token  int64  `json:"token,omitempty"`  // of a key that was deleted
	Lease  int64  `json:"lease,omitempty"`  // that was revoked
	From   int64  `json:"from"`
	To     int64  `json:"to"` // 0: for good
}

// Disturbance is a time in which nothing is owed: what is due at some moment is due so long after the disturbance. A machine that is too
// busy to run a client is one too.
type Disturbance struct {
	What   string `json:"what"`
	Client string `json:"client,omitempty"` // that did not get to run; "" if it was not that
	From   int64  `json:"from"`
	To     int64  `json:"to"`
}

// A Violation is something that must not be.
type Violation struct {
	Invariant string
	Text      string
}

// String names the invariant first.
func (v Violation) String() string { return v.Invariant + ": " + v.Text }
