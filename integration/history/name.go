package history

import (
	"cmp"
	"slices"
)

const (
	// starved is how long a call may wait for a name that nobody holds.
	starved = int64(prompt)
	// enough is how many holds two names must have each before it is no accident that they never overlap.
	enough = 20
)

// apart (L8): names do not affect each other. Two that are both busy are held at once now and then, and nobody waits for a free
// name while another is held.
func apart(h *History) (tried int, found []Violation) {
	lines := byName(h.Holds, holdName)
	for a, ones := range lines {
		for b, others := range lines {
			if a == b {
				continue
			}
			n := overlaps(ones, others)
			tried += n
			if n == 0 && a < b && together(ones, others) {
				found = append(found, wrong("%s and %s were never held at once, in %d and %d holds", a, b, len(ones), len(others)))
			}
			for _, one := range ones {
				if w, ok := h.starves(one, others); ok {
					found = append(found, wrong("%s of %s waited for %s for %v with nobody there, while %s held %s", w.Client, b, b, ms(one.To-one.From), one.Client, a))
				}
			}
		}
	}
	return tried, found
}

// overlaps counts the holds of ones during which one of the others was granted.
func overlaps(ones, others []Hold) (n int) {
	froms := make([]int64, 0, len(others))
	for _, o := range others {
		froms = append(froms, o.From)
	}
	slices.Sort(froms)
	for _, one := range ones {
		i, _ := slices.BinarySearch(froms, one.From)
		if i < len(froms) && froms[i] < one.To {
			n++
		}
	}
	return n
}

// together tells whether both have enough holds within the time of the other.
func together(ones, others []Hold) bool {
	within := func(some, bounds []Hold) (n int) {
		from := slices.MinFunc(bounds, func(a, b Hold) int { return cmp.Compare(a.From, b.From) }).From
		to := slices.MaxFunc(bounds, func(a, b Hold) int { return cmp.Compare(a.To, b.To) }).To
		for _, s := range some {
			if s.From > from && s.To < to {
				n++
			}
		}
		return n
	}
	return within(ones, others) >= enough && within(others, ones) >= enough
}

// starves finds a call for another name that waited through all of a long hold, in calm times, while nobody had that name.
func (h *History) starves(one Hold, others []Hold) (Hold, bool) {
	if one.To-one.From < starved || !h.calm(one.From, one.To) {
		return Hold{}, false
	}
	busy := slices.ContainsFunc(others, func(o Hold) bool { return o.From < one.To && o.To > one.From })
	for _, o := range others {
		if !busy && o.Asked <= one.From && o.From >= one.To {
			return o, true
		}
	}
	return Hold{}, false
}
