package history

import (
	"cmp"
	"slices"
)

// fenced (L2): a store that checks guards never applies a write when its hold's key is gone, nor an older one after a newer of a hold that
// excludes it, whether or not the client heard of the write; and what a client was told of its writes is true.
func fenced(h *History) (tried int, found []Violation) {
	stored, keys := make(map[Stored]bool, len(h.Stored)), index(h.Keys)
	for name, line := range byName(h.Stored, func(s Stored) string { return s.Name }) {
		slices.SortFunc(line, func(a, b Stored) int { return cmp.Compare(a.Rev, b.Rev) })
		before := make(highest)
		for _, s := range line {
			stored[s] = true
			tried++
			k := keys[id{s.Name, s.Token}]
			if k.Rev != 0 && k.Rev < s.Rev {
				found = append(found, wrong("%s: a write under token %d was applied at revision %d, and its key was gone at %d", name, s.Token, s.Rev, k.Rev))
			}
			if last := before.excluding(h, k.Portion); s.Token < last {
				found = append(found, wrong("%s: a write under token %d was applied after one under %d", name, s.Token, last))
			}
			before.add(k.Portion, s.Token)
		}
	}
	for _, w := range h.Writes {
		if w.Accepted && !stored[Stored{w.Name, w.Token, w.Rev}] {
			found = append(found, wrong("%s: %s was told that its write under token %d happened at revision %d, and it did not", w.Name, w.Client, w.Token, w.Rev))
		}
	}
	return tried, found
}
