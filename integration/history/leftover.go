package history

import (
	"cmp"
	"math"
	"slices"
)

// ambiguous (X4): what a call may have left that failed, was given up, or never heard an answer, is gone when a lease would be.
func ambiguous(h *History) (tried int, found []Violation) {
	for _, l := range h.leftovers() {
		tried++
		if l.from == 0 || l.outlives(h.due(l.from, h.TTL+slack)) {
			found = append(found, wrong("%s: the key of revision %d that %s put was never held, and stood for too long after its call", l.Name, l.Token, l.client))
		}
	}
	return tried, found
}

// idle finds keys that stood while their client wanted nothing, after a call that failed, whether or not a later call took them over.
func (h *History) idle() (found []Violation) {
	owners, attempts := h.owners(), h.attempts()
	for _, k := range h.Keys {
		calls := attempts[line{owners[k.Lease], k.Name}]
		for i, a := range calls {
			from, to := max(a.ended, k.Created), int64(math.MaxInt64)
			if k.Deleted != 0 {
				to = k.Deleted
			}
			if i+1 < len(calls) {
				to = min(to, calls[i+1].asked)
			}
			soon := from + int64(tidy)
			if !a.held && !a.killed && to > soon && h.calm(from, soon) && !h.frozen(owners[k.Lease], from, soon) {
				found = append(found, wrong("%s: %s gave up, and its key of revision %d stood for more than %v after that", k.Name, owners[k.Lease], k.Token, tidy))
			}
		}
	}
	return found
}

// leftover is a key that was never held. from is the end of the last call that can have used it; 0 if there was none.
type leftover struct {
	Key
	client string
	from   int64
}

func (l leftover) outlives(at int64) bool { return l.Deleted == 0 || l.Deleted > at }

// attempt is a call of Lock, however it ended.
type attempt struct {
	asked, ended int64
	held, killed bool
}

// line is what one client did with one name.
type line struct{ client, name string }

// leftovers finds the keys that were never held and whose client is known.
func (h *History) leftovers() (all []leftover) {
	held, owners, attempts := make(map[id]bool), h.owners(), h.attempts()
	for _, hold := range h.Holds {
		held[id{hold.Name, hold.Token}] = true
	}
	for _, k := range h.Keys {
		client := owners[k.Lease]
		if client == "" || held[id{k.Name, k.Token}] {
			continue
		}
		last := lastUse(attempts[line{client, k.Name}], k)
		all = append(all, leftover{k, client, last.ended})
	}
	return all
}

// attempts are all calls, in their order.
func (h *History) attempts() map[line][]attempt {
	all := make(map[line][]attempt)
	add := func(client, name string, a attempt) {
		all[line{client, name}] = append(all[line{client, name}], a)
	}
	for _, hold := range h.Holds {
		add(hold.Client, hold.Name, attempt{asked: hold.Asked, ended: hold.From, held: true})
	}
	for _, c := range h.Calls {
		add(c.Client, c.Name, attempt{asked: c.Asked, ended: c.Ended})
	}
	for _, e := range h.Ends {
		if e.Killed && e.Name != "" {
			add(e.Client, e.Name, attempt{asked: e.At, ended: e.At, killed: true})
		}
	}
	for at, calls := range all {
		slices.SortFunc(calls, func(a, b attempt) int { return cmp.Compare(a.asked, b.asked) })
		// Nobody knows when the call began in which a client was killed: at the earliest when the one before it ended.
		if n := len(calls); calls[n-1].killed {
			calls[n-1].asked = 0
			if n > 1 {
				calls[n-1].asked = calls[n-2].ended
			}
		}
		all[at] = calls
	}
	return all
}

// lastUse returns the last call that can have used the key. One that failed may have left it to the next, which takes it over or gives up
// too; one that was granted with another key has settled what was before.
func lastUse(calls []attempt, k Key) (last attempt) {
	for _, a := range calls {
		switch {
		case a.ended < k.Created && a.held:
			continue
		case a.ended < k.Created: // a request of it may have been under way
			last = a
		case k.Deleted != 0 && a.asked > k.Deleted:
			return last
		default:
			last = a
			if a.held {
				return last
			}
		}
	}
	return last
}
