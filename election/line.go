package election

import (
	"fmt"
	"strconv"
	"strings"

	"etcdkit/internal/claim"
	"etcdkit/session"
)

// A line is read as a []claim.Owner: the leader, then those who wait, in their order.

// idOf is what a candidate is called within its election.
func idOf(o claim.Owner, prefix string) string { return strings.TrimPrefix(o.Key, prefix) }

// mark stands in the name of each candidate of this kit, before its priority.
const mark = "+"

// foreign tells whether a key is none of a candidate of this kit for this election: its name has no mark, or lies deeper, which is
// where the candidates of another one stand whose key begins with that of this one.
func foreign(o claim.Owner, prefix string) bool {
	id := idOf(o, prefix)
	return strings.Contains(id, "/") || !strings.Contains(id, mark)
}

// priorityOf reads the priority in a candidate's ID, 0 where there is none.
func priorityOf(id string) int {
	if strings.Contains(id, "/") {
		return 0
	}
	_, tag, _ := strings.Cut(id, mark)
	n, err := strconv.ParseUint(tag, 10, 8)
	if err != nil || n > maxPriority {
		return 0
	}
	return int(n)
}

// choose finds the candidate with this ID, or the only one that waits with this value.
func choose(line []claim.Owner, prefix, candidate string) (int, error) {
	found, values := 0, 0
	for i, o := range line {
		if strings.Contains(idOf(o, prefix), "/") {
			continue // of another election
		}
		if idOf(o, prefix) == candidate {
			return i, nil
		}
		if i > 0 && o.Value == candidate {
			found = i
			values++
		}
	}
	switch {
	case values == 1:
		return found, nil
	case values > 1:
		return 0, fmt.Errorf("%w: %d that wait have this value; name one by its ID", ErrUnknownCandidate, values)
	case len(line) > 0 && line[0].Value == candidate:
		return 0, nil
	}
	return 0, ErrUnknownCandidate
}

// A move makes target the first of its line.
type move struct {
	ahead  []claim.Owner // who wait before it
	target claim.Owner
}

// moveTo is the move with which the leader hands over to the i-th of the line.
func moveTo(line []claim.Owner, prefix string, leader session.Token, i int) (move, error) {
	if len(line) == 0 || line[0].Token != leader {
		return move{}, &session.LostError{Reason: session.Deleted}
	}
	if i == 0 {
		return move{}, ErrLeading
	}
	m := move{ahead: line[1:i], target: line[i]}
	for _, o := range m.ahead {
		if foreign(o, prefix) {
			return move{}, fmt.Errorf("%w: %s", ErrForeignAhead, o.Key)
		}
	}
	if len(m.ahead) > claim.MaxAhead {
		return move{}, fmt.Errorf("%w: %d", ErrTooManyAhead, len(m.ahead))
	}
	return m, nil
}

// successor is the place of the candidate with the highest priority that can be made the leader, the oldest of several; 0 if nobody waits.
func successor(line []claim.Owner, prefix string) int {
	best, highest := 0, -1
	for i := 1; i < len(line) && i <= claim.MaxAhead+1; i++ {
		if p := priorityOf(idOf(line[i], prefix)); p > highest {
			best, highest = i, p
		}
		if foreign(line[i], prefix) {
			break
		}
	}
	return best
}
