package httpdisc

import (
	"net/http"
	"time"

	"etcdkit/discovery"
)

// Trace is a set of functions that are called at what happens to requests, for logs and metrics. Any of them may be nil. They are called from
// where it happens and must not block, and what they are given is theirs only until they return.
type Trace struct {
	// RequestDone: a request of a Gateway's client has ended. Upgraded connections and streams end late.
	RequestDone func(x *Exchange)
	// Retried: a request is sent again, to another instance, since err is what this one made of it.
	Retried func(service string, inst *discovery.Instance, err error)
	// Exhausted: a request could have been sent again, but the budget for that is spent.
	Exhausted func(service string)
	// Checked: the active health check of a Gateway has taken an instance out (err tells why), or in again (nil).
	Checked func(service string, inst *discovery.Instance, err error)
	// RoutesChanged: a Gateway goes by other routes from now on, or refuses to, or can follow them no more and goes on with what it has.
	RoutesChanged func(c *RoutesChange)
}

// Exchange is what became of a request to a Gateway.
type Exchange struct {
	Request  *http.Request      // as it came; its body is used up
	Route    *Route             // nil if there is none for it
	Instance discovery.Instance // that answered, or was tried last; zero if none was
	Attempts int                // how many instances were tried
	Status   int                // that the client got; 499 if it went away before, 101 after an upgrade
	Bytes    int64              // of the body that the instance answered with
	Took     time.Duration      // from the end of the request's header to the end of the response
	Err      error              // why there was no response, or not all of it
}

// RoutesChange is a turn in the life of a Gateway's routes.
type RoutesChange struct {
	Routes   Routes // in use from now on
	Revision int64  // of the store; 0 while nothing stands in etcd
	Refused  error  // why the newest edit is not in use; nil if it is
	Err      error  // why they cannot be followed now; another try is made every few seconds
}
