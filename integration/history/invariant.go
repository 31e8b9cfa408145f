package history

import "fmt"

// An Invariant is something that must hold in every history. A new one is a function and a line in Invariants.
type Invariant struct {
	ID   string
	Says string
	// Check returns how often the history put the invariant to the test, and where it does not hold.
	Check func(h *History) (tried int, found []Violation)
}

// Invariants are all that are checked without a solver.
var Invariants = []Invariant{
	{"X1", "who loses a lock stops to believe before its key is gone", told},
	{"X2", "nothing is left when all are closed: no key, no lease, no goroutine", clean},
	{"X3", "a loss is told once, with its reason", reasoned},
	{"X4", "a call that failed leaves nothing", ambiguous},
	{"L1", "tokens rise", rising},
	{"L2", "no write is applied when its hold is over, and no older one after a newer", fenced},
	{"L3", "no two holds overlap that exclude each other, and no more permits are held than there are", disjoint},
	{"L4", "nobody deletes the key of another's hold", untouched},
	{"L5", "every hold has its key, under its own lease", present},
	{"L6", "Lock obeys its context, and who gave up leaves no key", obedient},
	{"L7", "nobody is granted while a key stands that came before", ordered},
	{"L8", "names do not affect each other", apart},
}

// Check tries all invariants, and returns how often each was tried.
func (h *History) Check() (tried map[string]int, found []Violation) {
	tried = make(map[string]int)
	for _, i := range Invariants {
		n, bad := i.Check(h)
		tried[i.ID] = n
		for _, v := range bad {
			found = append(found, Violation{i.ID, v.Text})
		}
	}
	return tried, found
}

// wrong is a violation of the invariant that is being checked.
func wrong(format string, args ...any) Violation {
	return Violation{Text: fmt.Sprintf(format, args...)}
}
