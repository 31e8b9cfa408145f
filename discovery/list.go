package discovery

import (
	"slices"
	"strings"
)

// list is some of the instances in the order of their IDs, with the revisions in which they were written.
type list struct {
	insts []Instance
	mods  []int64
}

// edit is what becomes of an instance in a list: nil if it is not in it any more.
type edit struct {
	id string
	to *entry
}

// apply returns the list after the edits, which are in the order of IDs. It costs a copy, whatever changed: nothing is sorted again.
func (l list) apply(edits []edit) list {
	if !l.touched(edits) {
		return l
	}
	out := list{make([]Instance, 0, len(l.insts)+len(edits)), make([]int64, 0, len(l.insts)+len(edits))}
	from := 0
	for _, e := range edits {
		at, found := find(l.insts[from:], e.id)
		at += from
		out.insts, out.mods = append(out.insts, l.insts[from:at]...), append(out.mods, l.mods[from:at]...)
		if e.to != nil {
			out.insts, out.mods = append(out.insts, e.to.Instance), append(out.mods, e.to.mod)
		}
		if found {
			at++
		}
		from = at
	}
	return list{append(out.insts, l.insts[from:]...), append(out.mods, l.mods[from:]...)}
}

// touched tells whether the edits change anything.
func (l list) touched(edits []edit) bool {
	return slices.ContainsFunc(edits, func(e edit) bool {
		if e.to != nil {
			return true
		}
		_, found := find(l.insts, e.id)
		return found
	})
}

func find(insts []Instance, id string) (int, bool) {
	return slices.BinarySearchFunc(insts, id, func(i Instance, id string) int { return strings.Compare(i.ID, id) })
}

// compare tells what is in one list and not in another, by pointers into them.
func compare(before, after list, added, updated, removed func(*Instance)) {
	if len(before.insts) == len(after.insts) && (len(after.insts) == 0 || &before.insts[0] == &after.insts[0]) {
		return
	}
	i, j := 0, 0
	for i < len(before.insts) || j < len(after.insts) {
		order := 0
		switch {
		case i == len(before.insts):
			order = 1
		case j == len(after.insts):
			order = -1
		case before.insts[i].ID != after.insts[j].ID:
			order = strings.Compare(before.insts[i].ID, after.insts[j].ID)
		}
		switch {
		case order < 0:
			removed(&before.insts[i])
			i++
		case order > 0:
			added(&after.insts[j])
			j++
		default:
			if before.mods[i] != after.mods[j] {
				updated(&after.insts[j])
			}
			i, j = i+1, j+1
		}
	}
}
