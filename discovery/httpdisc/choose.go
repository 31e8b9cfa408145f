package httpdisc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"

	"etcdkit/discovery"
)

// pick chooses the instance for the first attempt. Where all that there are are about to leave, one of these is better than none: it
// serves until the others have noticed.
func (sv *service) pick(v *discovery.View, req *http.Request) (inst discovery.Instance, done func(error), err error) {
	p, err := sv.picker(req)
	if err != nil {
		return inst, nil, err
	}
	inst, done, err = v.Pick(p)
	if err == nil {
		return inst, done, nil
	}
	s := v.Snapshot()
	if n := len(s.Draining); n > 0 && errors.Is(err, discovery.ErrNoInstance) {
		inst = s.Draining[rand.IntN(n)]
		return inst, func(error) {}, nil
	}
	return inst, nil, empty(sv.name, err, s)
}

// picker returns that of the request, for the instances that are not down.
func (sv *service) picker(req *http.Request) (discovery.Picker, error) {
	if sv.choose != nil {
		if p := sv.choose(req); p != nil {
			return sv.health.filter(p), nil
		}
	}
	return nil, &UnavailableError{sv.name, errNoPicker, errNoPicker.Error()}
}

var errNoPicker = errors.New("WithPicker: there is no picker")

// another chooses an instance that was not tried. First it asks the Picker some times, since that knows best; a Picker that insists
// gets its way no longer.
func (sv *service) another(v *discovery.View, req *http.Request, tried []string) (inst discovery.Instance, done func(error), ok bool) {
	if len(tried) > sv.of.options.retries {
		return inst, nil, false
	}
	other := untried(sv.health.rest(v.Snapshot()), tried)
	if other == nil {
		return inst, nil, false
	}
	if !sv.budget.retry() {
		if f := sv.of.options.trace.Exhausted; f != nil {
			f(sv.name)
		}
		return inst, nil, false
	}
	const draws = 4
	for range draws {
		p, err := sv.picker(req)
		if err != nil {
			break
		}
		inst, done, err := v.Pick(p)
		if err != nil {
			break
		}
		if !slices.Contains(tried, inst.ID) {
			return inst, done, true
		}
		done(context.Canceled)
	}
	inst = *other
	return inst, func(err error) { v.Report(inst, err) }, true
}

// untried draws one of the instances that are not in tried; nil where there is none.
func untried(s *discovery.Snapshot, tried []string) (drawn *discovery.Instance) {
	seen := 0
	for i := range s.Instances {
		if slices.Contains(tried, s.Instances[i].ID) {
			continue
		}
		if seen++; rand.IntN(seen) == 0 {
			drawn = &s.Instances[i]
		}
	}
	return drawn
}
