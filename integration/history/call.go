package history

import (
	"slices"
	"time"
)

const (
	// prompt is what may pass between the end of a ctx and the return of the call: far more than it takes, for machines that are slow.
	prompt = 3 * time.Second
	// tidy is what may pass after that until its key is gone, while etcd is well.
	tidy = 2 * time.Second
	// slack is what may pass beyond a TTL until etcd has taken a lease away: it looks every half second, and a leader that is new
	// starts the TTL anew.
	slack = 5 * time.Second
)

// reasoned (X3): a loss is told by the end of the context, with a reason, and once more by the first Unlock, with the same one; not by the
// second. What was robbed is told too, as soon as it can be known.
func reasoned(h *History) (tried int, found []Violation) {
	keys := index(h.Keys)
	for _, hold := range h.Holds {
		if hold.Killed {
			continue
		}
		if why := hold.untold(); why != "" {
			found = append(found, wrong("%s: %s with token %d: %s (lost %v, cause %q, Unlock %q, then %q)",
				hold.Name, hold.Client, hold.Token, why, hold.Lost, hold.Cause, hold.Unlock, hold.Again))
		}
		k := keys[id{hold.Name, hold.Token}]
		r, robbed := h.robbed(hold, k)
		if hold.Lost || hold.Unlock.loss() {
			tried++
		}
		if robbed && r.Client == "" && hold.To > h.due(k.Deleted, h.TTL+prompt) {
			found = append(found, wrong("%s: %s believed in token %d for %v after it was robbed (%s)", hold.Name, hold.Client, hold.Token, ms(hold.To-k.Deleted), r.How))
		}
	}
	return tried, found
}

// untold says what is wrong with how the end of the hold was told, or nothing.
func (h Hold) untold() string {
	switch {
	case h.Again != Fine:
		return "the second Unlock said something"
	case h.Lost && !h.Cause.loss() && h.Cause != Closed:
		return "lost without a reason"
	case h.Lost && h.Unlock != h.Cause:
		return "Unlock did not tell of the loss"
	case h.Lost:
		return ""
	}
	switch h.Unlock {
	case Fine, Uncertain, Denied: // let go of by the holder
		if h.Cause != Released {
			return "the context ended with another cause than the release"
		}
	case Closed, Expired, Revoked, Deleted, Permission: // lost at the last moment, or found out by the release
		if h.Cause != Released && h.Cause != h.Unlock {
			return "the context and Unlock give different reasons"
		}
	default:
		return "an error without a word for it"
	}
	return ""
}

// obedient (L6): a call returns when its ctx ends, whatever happens to etcd; and in calm times its key is gone soon after.
func obedient(h *History) (tried int, found []Violation) {
	calls := slices.Clone(h.Calls)
	for _, hold := range h.Holds { // a call that brought a hold may have been late too
		calls = append(calls, Call{Name: hold.Name, Client: hold.Client, Asked: hold.Asked, Due: hold.Due, Ended: hold.From})
	}
	for _, c := range calls {
		if c.Due == 0 || h.frozen(c.Client, c.Due, c.Ended) {
			continue
		}
		tried++
		if late := c.Ended - c.Due - h.stalled(c.Client, c.Due, c.Ended); late > int64(prompt) {
			found = append(found, wrong("%s: Lock of %s returned %v after the end of its context", c.Name, c.Client, ms(late)))
		}
	}
	return tried, append(found, h.idle()...)
}

// stalled is for how long the client did not get to run between two moments.
func (h *History) stalled(client string, from, to int64) (sum int64) {
	for _, d := range h.Disturbances {
		if d.Client == client {
			sum += max(0, min(to, d.To)-max(from, d.From))
		}
	}
	return sum
}

// frozen tells whether the client was frozen between two moments.
func (h *History) frozen(client string, from, to int64) bool {
	return slices.ContainsFunc(h.Robberies, func(r Robbery) bool {
		return r.Client == client && r.From < to && (r.To == 0 || r.To > from)
	})
}
