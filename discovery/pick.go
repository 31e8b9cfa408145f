package discovery

// Pick has p choose the instance for one request. done is to be called once, with the outcome of the request, and is never nil; it also does what
// Report does. The error is a *NoInstanceError where nobody takes requests, else that of p.
func (v *View) Pick(p Picker) (Instance, func(error), error) {
	s := v.Snapshot()
	if len(s.Instances) == 0 {
		return Instance{}, nothing, &NoInstanceError{Service: v.service, Draining: len(s.Draining), Unhealthy: len(s.Unhealthy), Err: s.Err}
	}
	chosen, done, err := p.Pick(s)
	if err != nil {
		return Instance{}, nothing, wrap(v.service, err)
	}
	return *chosen, v.reporting(chosen, done), nil
}

// reporting reports also what was picked before a probation began: it can be the first sign that the instance is dead. It holds a pointer into the list,
// not an Instance, since each pick pays for it.
func (v *View) reporting(chosen *Instance, done func(error)) func(error) {
	return func(err error) {
		done(err)
		if err != nil {
			v.Report(*chosen, err)
		}
	}
}

func nothing(error) {}
