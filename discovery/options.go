package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"etcdkit/internal/keyspace"
)

// Option changes a default of Register or of Watch. Each says which; where it would mean nothing it is refused.
type Option func(*options)

type options struct {
	endpoints *string
	health    func(ctx context.Context) error
	every     time.Duration
	takeover  bool
	lastGood  *string
	probe     func(ctx context.Context, inst Instance) error
}

// WithEndpoints is for services that are known by the records of etcd's own client/v3/naming/endpoints, which stand at keys below target and
// a slash. Register puts such a record beside its own, keeps it there, and takes it away while the instance drains or is unhealthy, which these records
// cannot say. One that is not under the session's lease is somebody else's, and stays as it is: Register returns a *TakenError with its key (but see
// WithTakeover); if it comes later Err and Update do, and the kit's own record is kept up all the same. Watch and List read these records instead of the kit's.
func WithEndpoints(target string) Option { return func(o *options) { o.endpoints = &target } }

// WithHealth has the instance marked as unhealthy, so that it gets no requests, from when check fails to when it succeeds. It is asked before
// the instance is registered, and then so often; it has that long to answer. It is for Register.
func WithHealth(check func(ctx context.Context) error, every time.Duration) Option {
	return func(o *options) { o.health, o.every = check, every }
}

// WithTakeover has Register take the ID over from whoever is registered with it: for a program with an ID of its own that starts again before the lease
// of its former process is over. A process that lives on is not stopped by that; its Registration says that it is out (Err). It is for Register.
func WithTakeover() Option { return func(o *options) { o.takeover = true } }

// WithLastGood keeps the list in a file, so that a program can start while etcd is unreachable. Each service needs a file of its own; one that
// belongs to another service, or to something else, is an error. It is for Watch.
func WithLastGood(path string) Option { return func(o *options) { o.lastGood = &path } }

// WithProbe tells by a function whether an instance is alive, which is asked about those on probation (Snapshot.Probation): an error ends it.
// It is called for several at once, and has two seconds. It is for Watch.
func WithProbe(probe func(ctx context.Context, inst Instance) error) Option {
	return func(o *options) { o.probe = probe }
}

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// leastEvery bounds what a health check costs.
const leastEvery = 10 * time.Millisecond

// checkRegister names an option that cannot be used with Register.
func (o *options) checkRegister() error {
	switch {
	case o.lastGood != nil || o.probe != nil:
		return errors.New("WithLastGood and WithProbe are for Watch")
	case o.every != 0 && o.health == nil:
		return errors.New("WithHealth: the check is nil")
	case o.health != nil && o.every < leastEvery:
		return fmt.Errorf("WithHealth: every %v: must be %v at least", o.every, leastEvery)
	}
	return o.checkEndpoints()
}

// checkWatch names an option that cannot be used with Watch.
func (o *options) checkWatch() error {
	switch {
	case o.health != nil || o.every != 0 || o.takeover:
		return errors.New("WithHealth and WithTakeover are for Register")
	case o.lastGood != nil && *o.lastGood == "":
		return errors.New("WithLastGood: the path is empty")
	}
	return o.checkEndpoints()
}

// checkList names an option that cannot be used with List.
func (o *options) checkList() error {
	if o.lastGood != nil || o.probe != nil {
		return errors.New("WithLastGood and WithProbe are for Watch")
	}
	return o.checkWatch()
}

func (o *options) checkEndpoints() error {
	if o.endpoints == nil {
		return nil
	}
	if err := keyspace.CheckKey(*o.endpoints); err != nil {
		return fmt.Errorf("WithEndpoints: %w", err)
	}
	return nil
}
