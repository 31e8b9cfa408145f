package main

import (
	"net/http"
	"sync"
	"sync/atomic"

	"etcdkit/discovery"
)

// crowds is the pickers of a gateway by service, which know who is ejected.
type crowds struct{ byService sync.Map }

// picker is for httpdisc.WithPicker: the same picker as by default, seen from both sides.
func (c *crowds) picker(service string) func(*http.Request) discovery.Picker {
	known := new(crowd)
	known.ejection = discovery.Ejection(&chosen{crowd: known, inner: discovery.LeastLoaded()})
	c.byService.Store(service, known)
	return func(*http.Request) discovery.Picker { return known }
}

// ejected is how many of a service's instances were left out of the last choice.
func (c *crowds) ejected(service string) int {
	known, ok := c.byService.Load(service)
	if !ok {
		return 0
	}
	return known.(*crowd).ejected()
}

// crowd is the instances of a service that requests are given to: all of them, and those among whom is chosen.
type crowd struct {
	ejection  *discovery.EjectionPicker
	all, some atomic.Pointer[discovery.Snapshot]
}

// Pick picks among those that are not ejected.
func (c *crowd) Pick(s *discovery.Snapshot) (*discovery.Instance, func(error), error) {
	remember(&c.all, s)
	return c.ejection.Pick(s)
}

func (c *crowd) ejected() int {
	all, some := c.all.Load(), c.some.Load()
	if all == nil || some == nil {
		return 0
	}
	in := make(map[string]bool, len(some.Instances))
	for i := range some.Instances {
		in[some.Instances[i].ID] = true
	}
	out := 0
	for i := range all.Instances {
		if !in[all.Instances[i].ID] {
			out++
		}
	}
	return out
}

// chosen is the picker behind the ejection.
type chosen struct {
	crowd *crowd
	inner discovery.Picker
}

// Pick passes on who is not ejected.
func (c *chosen) Pick(s *discovery.Snapshot) (*discovery.Instance, func(error), error) {
	remember(&c.crowd.some, s)
	return c.inner.Pick(s)
}

// remember writes only what has changed: all cores would fight for it.
func remember(to *atomic.Pointer[discovery.Snapshot], s *discovery.Snapshot) {
	if to.Load() != s {
		to.Store(s)
	}
}
