package history

import "cmp"

// A Portion is how much of a name a hold has, or a key takes: all of it, unless it says otherwise.
type Portion struct {
	Read  bool `json:"read,omitempty"`  // of a readers-writer lock: what a reader has
	Takes int  `json:"takes,omitempty"` // of a semaphore: so many permits
}

// whole is all of what has no size, and more than any size: a lock can be had by one writer, or by far more readers than there are.
const whole = 1 << 31

// room is how much of a name can be had at a time.
func (h *History) room() int { return cmp.Or(h.Size, whole) }

// weight is how much of the room a portion needs.
func (p Portion) weight() int {
	if p.Read {
		return 1
	}
	return cmp.Or(p.Takes, whole)
}

// fits tells whether there is room for a portion beside what has been taken.
func (h *History) fits(p Portion, taken int) bool {
	return taken+p.weight() <= h.room()
}

// excludes tells whether only one of the two can be had at a time.
func (h *History) excludes(a, b Portion) bool { return !h.fits(a, b.weight()) }

// highest are the highest tokens so far of each portion.
type highest map[Portion]int64

func (m highest) add(p Portion, token int64) { m[p] = max(m[p], token) }

// excluding returns the highest token of all that exclude the portion; 0 if there is none.
func (m highest) excluding(h *History, p Portion) (last int64) {
	for other, token := range m {
		if h.excludes(p, other) {
			last = max(last, token)
		}
	}
	return last
}
