package election

import (
	"context"
	"fmt"
	"strconv"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
)

// Option changes a default of New.
type Option func(*options)

type options struct {
	key      *string
	value    string
	priority int
	ranked   bool // a priority was given
	preempt  bool
	health   func(context.Context) error
	restart  func(error) bool
}

func defaults(self hub.Info) options { return options{value: describe(self)} }

// describe is what a process says of itself where nothing else was given.
func describe(self hub.Info) string { return self.Host + "/" + strconv.Itoa(self.PID) }

// WithValue sets what the candidate's key says, and so the leader's: an address, for example. It is there from the start, and a term can
// change it (Term.Proclaim). The default, also for an empty value, is "<host>/<process id>".
func WithValue(value string) Option {
	return func(o *options) {
		if value != "" {
			o.value = value
		}
	}
}

// WithPriority sets from 0 to 100 how much this candidate is wanted; the default is 0. A leader that has a priority hands over to the best
// candidate that waits when it resigns: the highest priority, and the oldest of those that have it. After a crash the oldest
// leads, whatever its priority: see WithPreempt.
func WithPriority(priority int) Option {
	return func(o *options) { o.priority, o.ranked = priority, true }
}

// WithPreempt makes the leader hand over as soon as a candidate waits whose priority is higher than its own. It is the leader that has to
// have it, so give it to all.
func WithPreempt() Option { return func(o *options) { o.preempt = true } }

// WithHealth sets what tells whether this process is fit to lead: nil means that it is. Run asks before it campaigns, and waits while the
// answer is an error; and every second while it leads: then an error, or no answer within five seconds, ends the term with
// ErrUnhealthy. The check should return when its context ends, since Run waits for it.
func WithHealth(check func(context.Context) error) Option {
	return func(o *options) { o.health = check }
}

// WithRestart sets what decides, when Run's function has returned while it led, whether Run goes on: true makes it campaign again, after
// a pause. It gets what the function returned.
func WithRestart(again func(error) bool) Option { return func(o *options) { o.restart = again } }

// WithKey puts the election at an exact etcd key instead of one made from the prefix and the name, which is then only what errors say. It
// is the key that concurrency.NewElection and `etcdctl elect` take, and the candidates stand in the same line as theirs, so that a
// fleet can move over one program at a time. Like theirs, they also wait for the keys of an election whose key lies below ("a" and "a/b").
func WithKey(key string) Option { return func(o *options) { o.key = &key } }

// line returns the key of a name's line, and what is wrong with any of what was given.
func (o *options) line(keys keyspace.Space, name string) (string, error) {
	key, err := keys.Line(kind, name)
	if o.key != nil {
		key, err = *o.key, keyspace.CheckKey(*o.key)
	}
	if err == nil && (o.priority < 0 || o.priority > maxPriority) {
		err = fmt.Errorf("a priority of %d is not from 0 to %d", o.priority, maxPriority)
	}
	if err == nil {
		err = checkValue(o.value)
	}
	return key, err
}

const (
	maxPriority = 100
	maxValue    = 1 << 20 // etcd takes 1.5 MiB for a whole request
)

func checkValue(value string) error {
	if len(value) > maxValue {
		return fmt.Errorf("a value of %d bytes is more than %d", len(value), maxValue)
	}
	return nil
}

// tag is what a candidate's key has behind its name.
func (o *options) tag() string { return mark + strconv.Itoa(o.priority) }
