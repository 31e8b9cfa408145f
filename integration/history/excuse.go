package history

import (
	"cmp"
	"slices"
	"time"
)

// id identifies a key: a name is used again and again, a create revision is not.
type id struct {
	name  string
	token int64
}

func index(keys []Key) map[id]Key {
	m := make(map[id]Key, len(keys))
	for _, k := range keys {
		m[id{k.Name, k.Token}] = k
	}
	return m
}

func byName[T any](all []T, name func(T) string) map[string][]T {
	m := make(map[string][]T)
	for _, one := range all {
		m[name(one)] = append(m[name(one)], one)
	}
	return m
}

func holdName(h Hold) string { return h.Name }

// owners maps leases to clients.
func (h *History) owners() map[int64]string {
	m := make(map[int64]string, len(h.Leases))
	for _, l := range h.Leases {
		m[l.ID] = l.Client
	}
	return m
}

// robbed returns when the first robbery of the hold began, and which it was. k is the hold's key.
func (h *History) robbed(hold Hold, k Key) (Robbery, bool) {
	for _, r := range h.Robberies {
		if r.takes(hold, k) {
			return r, true
		}
	}
	return Robbery{}, false
}

// takes tells whether the robbery fits the hold, and the hold shows it: it was lost, or its key was gone while it was believed in.
func (r Robbery) takes(hold Hold, k Key) bool {
	switch {
	case r.Client != "": // who is frozen believes in what it had, or was about to get
		return r.Client == hold.Client && hold.Lost && hold.To > r.From && (r.To == 0 || hold.Asked < r.To)
	case r.Token != 0 && r.Token != hold.Token, r.Lease != 0 && r.Lease != k.Lease:
		return false
	}
	shown := hold.Lost || hold.Unlock.loss() || hold.To > k.Deleted
	return shown && k.Deleted > r.From && (r.To == 0 || k.Deleted < r.To)
}

// believed are the holds, each with To as it counts: a robbery ends it. A hold that was robbed before it began is not among them.
func (h *History) believed() []Hold {
	keys := index(h.Keys)
	var all []Hold
	for _, hold := range h.Holds {
		if r, ok := h.robbed(hold, keys[id{hold.Name, hold.Token}]); ok {
			hold.To = min(hold.To, r.From)
		}
		if hold.To >= hold.From {
			all = append(all, hold)
		}
	}
	return all
}

// due returns until when something has to have happened that may take so long from at on. A disturbance that begins before that
// starts the time anew.
func (h *History) due(at int64, within time.Duration) int64 {
	sorted := slices.SortedFunc(slices.Values(h.Disturbances), func(a, b Disturbance) int { return cmp.Compare(a.From, b.From) })
	for _, d := range sorted {
		if d.From <= at+int64(within) && d.To > at {
			at = d.To
		}
	}
	return at + int64(within)
}

// calm tells whether there was no disturbance between two moments.
func (h *History) calm(from, to int64) bool {
	return !slices.ContainsFunc(h.Disturbances, func(d Disturbance) bool { return d.From < to && d.To > from })
}

// ms is a time in nanoseconds as one that people read.
func ms(ns int64) time.Duration { return time.Duration(ns).Round(time.Microsecond) }
