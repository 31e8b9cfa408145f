package grpcdisc

import (
	"slices"
	"strings"

	"etcdkit/discovery"
)

// A handover is from one View to the next. After the history of etcd was rewound, as when it was restored from a backup, live servers are not in
// the first list, or not all of them: they are about to register again. So those of the list before are kept beside it, until it has at least
// half as many.
type handover struct {
	size    int                           // of the list before
	waiting map[string]discovery.Instance // by ID: who was in it, and has not been seen since
}

// newHandover returns that from a list, nil if there was none.
func newHandover(before *discovery.Snapshot) *handover {
	if before == nil {
		return nil
	}
	h := &handover{size: len(before.Instances), waiting: make(map[string]discovery.Instance, len(before.Instances))}
	for _, inst := range before.Instances {
		h.waiting[inst.ID] = inst
	}
	return h
}

// takes notes who is there, and tells whether the handover goes on.
func (h *handover) takes(s *discovery.Snapshot) bool {
	if h == nil || 2*len(s.Instances) >= h.size {
		return false
	}
	for _, list := range [][]discovery.Instance{s.Instances, s.Draining, s.Unhealthy} { // who drains, and goes, is not waited for either
		for i := range list {
			delete(h.waiting, list[i].ID)
		}
	}
	return true
}

// merged returns a list with those who are waited for.
func (h *handover) merged(s *discovery.Snapshot) *discovery.Snapshot {
	both := *s
	both.Instances = slices.Clone(s.Instances)
	for _, inst := range h.waiting {
		both.Instances = append(both.Instances, inst)
	}
	slices.SortFunc(both.Instances, func(a, b discovery.Instance) int { return strings.Compare(a.ID, b.ID) })
	return &both
}
