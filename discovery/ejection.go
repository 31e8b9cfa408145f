package discovery

import (
	"errors"
	"time"
)

// EjectionOption changes a default of Ejection.
type EjectionOption func(*ejectionOptions)

type ejectionOptions struct {
	failures int
	time     time.Duration
	maxTime  time.Duration
}

// WithFailures sets how many failures in a row eject an instance; the default is 5.
func WithFailures(n int) EjectionOption { return func(o *ejectionOptions) { o.failures = n } }

// WithTime sets for how long an instance is ejected the first time; the default is 30 s. The n-th time in a row it is n times that.
func WithTime(d time.Duration) EjectionOption { return func(o *ejectionOptions) { o.time = d } }

// WithMaxTime sets for how long an instance is ejected at most; the default is 5 minutes.
func WithMaxTime(d time.Duration) EjectionOption { return func(o *ejectionOptions) { o.maxTime = d } }

func (o *ejectionOptions) check() error {
	switch {
	case o.failures < 1:
		return errors.New("Ejection: WithFailures: must be 1 or more")
	case o.time <= 0:
		return errors.New("Ejection: WithTime: must be above zero")
	case o.maxTime < o.time:
		return errors.New("Ejection: WithMaxTime: must not be less than the time of the first ejection, see WithTime")
	}
	return nil
}

// EjectionPicker keeps requests away from instances that only fail. It is made by Ejection.
type EjectionPicker struct {
	inner Picker
	state *ejection
}

// Ejection has inner choose among the instances that work: one with five failures in a row (see WithFailures) is left out for 30 s, the next time
// for 60 s, and so on up to 5 minutes. Then one request goes there as a probe: if it succeeds the instance is back, if not it is out again, for longer.
// An instance that went well for as long as it was out begins anew. At most half of the instances are out, rounded down; beyond that, failures
// are counted and change nothing.
//
// A failure is a done with an error other than context.Canceled, which counts as nothing at all. So call done with an error where the instance is
// to blame, and not for a request that was wrong by itself.
func Ejection(inner Picker, opts ...EjectionOption) *EjectionPicker {
	e := &ejection{
		options: ejectionOptions{failures: 5, time: 30 * time.Second, maxTime: 5 * time.Minute},
		byID:    make(map[string]*conduct), out: make(map[*conduct]bool),
	}
	for _, opt := range opts {
		opt(&e.options)
	}
	return &EjectionPicker{inner: inner, state: e}
}

// With returns a Picker that knows of the same ejections, but has another one choose: e.With(ring.Key("user-7")).
func (e *EjectionPicker) With(inner Picker) *EjectionPicker {
	return &EjectionPicker{inner: inner, state: e.state}
}

// Pick has inner pick from the instances that are not ejected, or returns the one that is to be probed.
func (e *EjectionPicker) Pick(s *Snapshot) (*Instance, func(error), error) {
	if e.inner == nil {
		return nil, nil, errors.New("Ejection: there is no inner Picker")
	}
	if err := e.state.options.check(); err != nil {
		return nil, nil, err
	}
	if len(s.Instances) == 0 {
		return nil, nil, ErrNoInstance
	}
	a := e.state.kept.find(s)
	if a == nil {
		a = e.state.kept.add(s, e.state.admit)
	}
	if due := a.due.Load(); due != never {
		if now := time.Since(clock); int64(now) >= due {
			if i := e.state.probe(a, now); i >= 0 {
				return &s.Instances[i], trial{of: e.state, among: a, record: a.records[s.Instances[i].ID], probe: true}.done, nil
			}
		}
	}
	inst, done, err := e.inner.Pick(a.part)
	if err != nil {
		return nil, nil, err
	}
	return inst, trial{of: e.state, among: a, record: a.records[inst.ID], inner: done}.done, nil
}
