package history

import (
	"cmp"
	"slices"
)

// byFrom sorts holds by when they were granted.
func byFrom(line []Hold) {
	slices.SortFunc(line, func(a, b Hold) int { return cmp.Compare(a.From, b.From) })
}

// disjoint (L3): no two holds of a name overlap, but as far as there is room for both. It has no slack, so it is the strongest check of a lock.
func disjoint(h *History) (tried int, found []Violation) {
	for name, line := range byName(h.believed(), holdName) {
		byFrom(line)
		var beside []Hold // those that go on when the next one begins
		for i, hold := range line {
			beside = slices.DeleteFunc(beside, func(b Hold) bool { return b.To <= hold.From })
			taken := 0
			for _, b := range beside {
				taken += b.weight()
			}
			tried += min(1, i)
			if !h.fits(hold.Portion, taken) {
				last := slices.MaxFunc(beside, func(a, b Hold) int { return cmp.Compare(a.To, b.To) })
				found = append(found, wrong("%s: %s held with token %d for %v after %s had token %d",
					name, last.Client, last.Token, ms(last.To-hold.From), hold.Client, hold.Token))
			}
			beside = append(beside, hold)
		}
	}
	return tried, found
}

// rising (L1): each hold of a name has a higher token than all before it that exclude it. In which order those are told that can hold at once,
// nobody promises.
func rising(h *History) (tried int, found []Violation) {
	for name, line := range byName(h.believed(), holdName) {
		byFrom(line)
		before := make(highest)
		for _, hold := range line {
			last := before.excluding(h, hold.Portion)
			tried += int(min(1, last))
			if hold.Token <= last {
				found = append(found, wrong("%s: token %d after token %d", name, hold.Token, last))
			}
			before.add(hold.Portion, hold.Token)
		}
	}
	return tried, found
}

// told (X1): who loses a lock stops to believe before its key is seen to be gone.
func told(h *History) (tried int, found []Violation) {
	return h.outlived(func(hold Hold) bool { return hold.Lost })
}

// untouched (L4): the key of a hold is not gone before its holder lets go of it.
func untouched(h *History) (tried int, found []Violation) {
	return h.outlived(func(hold Hold) bool { return !hold.Lost })
}

// outlived finds holds of a sort that were believed in longer than their key was there. A robbed one has a right to.
func (h *History) outlived(sort func(Hold) bool) (tried int, found []Violation) {
	gone := index(h.Keys)
	for _, hold := range h.Holds {
		k := gone[id{hold.Name, hold.Token}]
		if !sort(hold) || k.Deleted == 0 {
			continue
		}
		if _, ok := h.robbed(hold, k); ok {
			continue
		}
		tried++
		if hold.To > k.Deleted {
			found = append(found, wrong("%s: %s believed in token %d for %v after its key was gone", hold.Name, hold.Client, hold.Token, ms(hold.To-k.Deleted)))
		}
	}
	return tried, found
}

// Margin is the least time between a loss and the deletion of the key, in nanoseconds: how close X1 came. ok is false if nothing was lost.
func (h *History) Margin() (least int64, ok bool) {
	gone := index(h.Keys)
	for _, hold := range h.Holds {
		k := gone[id{hold.Name, hold.Token}]
		if _, robbed := h.robbed(hold, k); robbed || !hold.Lost || k.Deleted == 0 {
			continue
		}
		if m := k.Deleted - hold.To; !ok || m < least {
			least, ok = m, true
		}
	}
	return least, ok
}

// present (L5): every hold has a key, under a lease of its holder, which was there when Lock was called or came later, which says what was had,
// and which was the first of its line before it went, or had room beside those before it. The last compares revisions only.
func present(h *History) (tried int, found []Violation) {
	if len(h.Keys) == 0 {
		return 0, nil // nobody watched
	}
	there, owners, before := index(h.Keys), h.owners(), h.before()
	for _, hold := range h.Holds {
		tried++
		key := id{hold.Name, hold.Token}
		k, ok := there[key]
		owner := owners[k.Lease]
		switch {
		case !ok:
			found = append(found, wrong("%s: %s held with token %d, and there never was such a key", hold.Name, hold.Client, hold.Token))
		case k.Deleted != 0 && k.Deleted < hold.Asked:
			found = append(found, wrong("%s: %s was granted token %d, whose key was gone before it asked", hold.Name, hold.Client, hold.Token))
		case owner != "" && owner != hold.Client:
			found = append(found, wrong("%s: %s was granted token %d, whose key is under the lease of %s", hold.Name, hold.Client, hold.Token, owner))
		case k.Portion != hold.Portion:
			found = append(found, wrong("%s: %s was granted token %d for %+v, and its key says %+v", hold.Name, hold.Client, hold.Token, hold.Portion, k.Portion))
		}
		if ahead, first := standing(before[key], k.Rev); k.Rev != 0 && !h.fits(k.Portion, ahead) {
			found = append(found, wrong("%s: %s was granted token %d, whose key was gone before that of %d: it never was the first",
				hold.Name, hold.Client, hold.Token, first))
		}
	}
	return tried, found
}

// standing is what keys take together that were still there at a revision, and the token of the first of them.
func standing(keys []Key, rev int64) (taken int, first int64) {
	for _, k := range keys {
		if k.Rev == 0 || k.Rev > rev {
			taken, first = taken+k.weight(), cmp.Or(first, k.Token)
		}
	}
	return taken, first
}

// ordered (L7): when a holder first writes, no key stands that came before its own, but as far as there is room beside it: first come, first
// served. It compares revisions only, so it has no slack, and it holds for foreign keys too. A hold counts as tried if there was
// somebody before it.
func ordered(h *History) (tried int, found []Violation) {
	first := make(map[id]int64) // the revision of a hold's first write
	for _, s := range h.Stored {
		key := id{s.Name, s.Token}
		if first[key] == 0 || s.Rev < first[key] {
			first[key] = s.Rev
		}
	}
	before := h.before()
	for _, k := range h.Keys {
		key := id{k.Name, k.Token}
		written := first[key]
		if written == 0 {
			continue
		}
		tried += min(1, len(before[key]))
		if ahead, b := standing(before[key], written); !h.fits(k.Portion, ahead) {
			found = append(found, wrong("%s: token %d wrote at revision %d, when the key of %d still stood", k.Name, k.Token, written, b))
		}
	}
	return tried, found
}

// before returns, for each key, those of its line that stood when it came.
func (h *History) before() map[id][]Key {
	all := make(map[id][]Key)
	for name, line := range byName(h.Keys, func(k Key) string { return k.Name }) {
		slices.SortFunc(line, func(a, b Key) int { return cmp.Compare(a.Token, b.Token) })
		var standing []Key
		for _, k := range line {
			standing = slices.DeleteFunc(standing, func(b Key) bool { return b.Rev != 0 && b.Rev <= k.Token })
			all[id{name, k.Token}] = slices.Clone(standing)
			standing = append(standing, k)
		}
	}
	return all
}
