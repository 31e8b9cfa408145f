package history

import (
	"cmp"
	"slices"
)

// fenced (L2): a store that checks tokens never applies an older one after a newer, whether or not the client heard of the write; and
// what a client was told of its writes is true.
func fenced(h *History) (tried int, found []Violation) {
	stored := make(map[Stored]bool, len(h.Stored))
	for name, line := range byName(h.Stored, func(s Stored) string { return s.Name }) {
		slices.SortFunc(line, func(a, b Stored) int { return cmp.Compare(a.Rev, b.Rev) })
		for i, s := range line {
			stored[s] = true
			tried++
			if i > 0 && s.Token < line[i-1].Token {
				found = append(found, wrong("%s: a write under token %d was applied after one under %d", name, s.Token, line[i-1].Token))
			}
		}
	}
	for _, w := range h.Writes {
		if w.Accepted && !stored[Stored{w.Name, w.Token, w.Rev}] {
			found = append(found, wrong("%s: %s was told that its write under token %d happened at revision %d, and it did not", w.Name, w.Client, w.Token, w.Rev))
		}
	}
	return tried, found
}
