package history

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Model is the name of the models as an invariant.
const Model = "model"

// The operations of the fenced mutex.
type op struct {
	acquire bool // else the key is gone
	token   int64
}

// state is who holds, and the highest token so far.
type state struct {
	owner, highest int64 // owner 0: nobody
}

// fencedMutex is the model: an acquisition needs that nobody holds, and a token higher than all before.
var fencedMutex = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(before, input, _ any) (bool, any) {
		s, in := before.(state), input.(op)
		if in.acquire {
			return s.owner == 0 && in.token > s.highest, state{owner: in.token, highest: in.token}
		}
		return s.owner == in.token, state{highest: s.highest}
	},
	DescribeOperation: func(input, _ any) string { return describe(input.(op)) },
	DescribeState: func(s any) string {
		return fmt.Sprintf("owner %d, highest %d", s.(state).owner, s.(state).highest)
	},
}

func describe(in op) string {
	if in.acquire {
		return fmt.Sprintf("acquire -> %d", in.token)
	}
	return fmt.Sprintf("gone %d", in.token)
}

// Linearizable checks the holds of each name against the model of what it is: a fenced mutex, a readers-writer lock, a semaphore. An acquisition
// happens between Lock's call and return; it ends some time between the moment when its holder no longer believed, and the moment when
// the key was seen to be gone (for ever, if it was not). It returns how many operations it saw and, as a violation, also Unknown; it
// writes the picture of what is not linearizable to html, if that is not empty.
func (h *History) Linearizable(timeout time.Duration, html string) (tried int, found []Violation) {
	switch shares := h.shares(); {
	case h.Size > 0:
		return 2 * len(shares), Semaphore(h.Size, shares, timeout, html)
	case slices.ContainsFunc(shares, func(s Share) bool { return s.Read }):
		return 2 * len(shares), ReadersWriter(shares, timeout, html)
	}
	gone := index(h.Keys)
	for name, line := range byName(h.believed(), holdName) {
		ops := operations(line, gone)
		tried += len(ops)
		found = append(found, solve(fencedMutex, name, len(line), ops, timeout, html)...)
	}
	return tried, found
}

// solve looks for an order of the operations that the model allows. If there is none, or none was found in time, it says so and writes the
// picture to html, if that is not empty.
func solve(model porcupine.Model, name string, holds int, ops []porcupine.Operation, timeout time.Duration, html string) []Violation {
	verdict, info := porcupine.CheckOperationsVerbose(model, ops, timeout)
	if verdict == porcupine.Ok {
		return nil
	}
	found := []Violation{{Model, fmt.Sprintf("%s: the history of %d holds is %s", name, holds, verdict)}}
	if html != "" {
		if err := porcupine.VisualizePath(model, info, html); err != nil {
			found = append(found, Violation{Model, err.Error()})
		}
	}
	return found
}

// numbers gives each client a number of its own, from the first on.
type numbers map[string]int

func (n numbers) of(client string) int {
	if _, known := n[client]; !known {
		n[client] = len(n)
	}
	return n[client]
}

// operations are the acquisitions of a line and their ends.
func operations(line []Hold, gone map[id]Key) (ops []porcupine.Operation) {
	clients := numbers{"": 0} // the one who sees the keys go
	for _, h := range line {
		until := int64(math.MaxInt64)
		if k := gone[id{h.Name, h.Token}]; k.Deleted != 0 {
			until = max(k.Deleted, h.To)
		}
		ops = append(ops,
			porcupine.Operation{ClientId: clients.of(h.Client), Input: op{true, h.Token}, Call: h.Asked, Return: h.From},
			porcupine.Operation{Input: op{false, h.Token}, Call: h.To, Return: until},
		)
	}
	return ops
}
