// Package history judges what happened, after the fact: records of what clients believed and of what the store held go in, violations come
// out. The checks are pure functions, so an old history can be judged again, and they have tests of their own.
package history

import (
	"cmp"
	"fmt"
	"slices"
)

// Hold is one hold of a lock, as its holder saw it. Times are nanoseconds on one clock.
type Hold struct {
	Name   string `json:"name"`
	Client string `json:"client"`
	Token  int64  `json:"token"`

	Asked int64 `json:"asked"` // when Lock was called
	From  int64 `json:"from"`  // when Lock returned
	To    int64 `json:"to"`    // when the holder last believed: the context's end, or the call of Unlock
	Lost  bool  `json:"lost"`  // the context ended before a release
}

// Key is the life of one key in a line, as a referee saw it who watches the store. What was seen happened before.
type Key struct {
	Name    string `json:"name"`
	Token   int64  `json:"token"`   // create revision
	Deleted int64  `json:"deleted"` // when the deletion was seen; 0 if it was not
	Rev     int64  `json:"rev"`     // of the deletion
	Lease   int64  `json:"lease"`
}

// Write is one write under a token to a store that checks it.
type Write struct {
	Name     string `json:"name"`
	Client   string `json:"client"`
	Token    int64  `json:"token"`
	Call     int64  `json:"call"`
	Return   int64  `json:"return"`
	Accepted bool   `json:"accepted"`
	Rev      int64  `json:"rev"` // the store's, of an accepted write
}

// History is all that is known of one run.
type History struct {
	Holds  []Hold  `json:"holds"`
	Keys   []Key   `json:"keys"`
	Writes []Write `json:"writes"`
}

// A Violation is something that must not be.
type Violation struct {
	Invariant string
	Text      string
}

// String names the invariant first.
func (v Violation) String() string { return v.Invariant + ": " + v.Text }

// Check runs all checks that need no solver.
func (h *History) Check() []Violation {
	return slices.Concat(Disjoint(h.Holds), Rising(h.Holds), Told(h.Holds, h.Keys), Real(h.Holds, h.Keys), Fenced(h.Writes))
}

// Disjoint (L3): no two holds of a name overlap. It has no slack, so it is the strongest check of a lock.
func Disjoint(holds []Hold) (found []Violation) {
	for name, line := range byName(holds, func(h Hold) string { return h.Name }) {
		slices.SortFunc(line, func(a, b Hold) int { return cmp.Compare(a.From, b.From) })
		last := 0
		for i := 1; i < len(line); i++ {
			if line[i].From < line[last].To {
				found = append(found, Violation{"L3", fmt.Sprintf("%s: %s held with token %d for %d ns after %s had token %d",
					name, line[last].Client, line[last].Token, line[last].To-line[i].From, line[i].Client, line[i].Token)})
			}
			if line[i].To > line[last].To {
				last = i
			}
		}
	}
	return found
}

// Rising (L1): each hold of a name has a higher token than all before it.
func Rising(holds []Hold) (found []Violation) {
	for name, line := range byName(holds, func(h Hold) string { return h.Name }) {
		slices.SortFunc(line, func(a, b Hold) int { return cmp.Compare(a.From, b.From) })
		for i := 1; i < len(line); i++ {
			if line[i].Token <= line[i-1].Token {
				found = append(found, Violation{"L1", fmt.Sprintf("%s: token %d after token %d", name, line[i].Token, line[i-1].Token)})
			}
		}
	}
	return found
}

// Told (X1): a holder stops to believe before its key is seen to be gone. A key that somebody else deleted is no matter of this check:
// leave it out.
func Told(holds []Hold, keys []Key) (found []Violation) {
	gone := index(keys)
	for _, h := range holds {
		if k, ok := gone[id{h.Name, h.Token}]; ok && k.Deleted != 0 && h.To > k.Deleted {
			found = append(found, Violation{"X1", fmt.Sprintf("%s: %s believed in token %d for %d ns after its key was gone", h.Name, h.Client, h.Token, h.To-k.Deleted)})
		}
	}
	return found
}

// Margin is the least time between a loss and the deletion of the key, in nanoseconds: how close Told came. ok is false if nothing
// was lost.
func Margin(holds []Hold, keys []Key) (least int64, ok bool) {
	gone := index(keys)
	for _, h := range holds {
		if k, there := gone[id{h.Name, h.Token}]; there && h.Lost && k.Deleted != 0 {
			if m := k.Deleted - h.To; !ok || m < least {
				least, ok = m, true
			}
		}
	}
	return least, ok
}

// Real (L5): every hold has a key, which was there when Lock returned.
func Real(holds []Hold, keys []Key) (found []Violation) {
	if len(keys) == 0 {
		return nil // nobody watched
	}
	there := index(keys)
	for _, h := range holds {
		k, ok := there[id{h.Name, h.Token}]
		switch {
		case !ok:
			found = append(found, Violation{"L5", fmt.Sprintf("%s: %s held with token %d, and there never was such a key", h.Name, h.Client, h.Token)})
		case k.Deleted != 0 && k.Deleted < h.Asked:
			found = append(found, Violation{"L5", fmt.Sprintf("%s: %s was granted token %d, whose key was gone before it asked", h.Name, h.Client, h.Token)})
		}
	}
	return found
}

// Fenced (L2): a store that checks tokens never applies an older one after a newer.
func Fenced(writes []Write) (found []Violation) {
	for name, line := range byName(writes, func(w Write) string { return w.Name }) {
		line = slices.DeleteFunc(line, func(w Write) bool { return !w.Accepted })
		slices.SortFunc(line, func(a, b Write) int { return cmp.Compare(a.Rev, b.Rev) })
		for i := 1; i < len(line); i++ {
			if line[i].Token < line[i-1].Token {
				found = append(found, Violation{"L2", fmt.Sprintf("%s: a write of %s under token %d was applied after one under %d",
					name, line[i].Client, line[i].Token, line[i-1].Token)})
			}
		}
	}
	return found
}

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
