package history

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// A Share is a hold beside which others may hold: of a reader, or of some permits.
type Share struct {
	Hold
	Freed int64 `json:"freed"` // until when it was released: when Unlock said so, or its key was seen to be gone; 0 if it never was
}

// shares are the holds, each with its end as it counts.
func (h *History) shares() (all []Share) {
	gone := index(h.Keys)
	for _, hold := range h.believed() {
		all = append(all, Share{Hold: hold, Freed: gone[id{hold.Name, hold.Token}].Deleted})
	}
	return all
}

// part is an operation of the models of shares: one that begins or ends.
type part struct {
	share Share
	begin bool
}

// String names the operation in a picture.
func (p part) String() string {
	what, verb := "write", "end"
	switch {
	case p.share.Takes > 0:
		what = fmt.Sprintf("%d permits", p.share.Takes)
	case p.share.Read:
		what = "read"
	}
	if p.begin {
		verb = "begin"
	}
	return fmt.Sprintf("%s %s %d", verb, what, p.share.Token)
}

// rwState is who holds a readers-writer lock: the writer's token, or so many readers, and the highest token of a writer so far.
type rwState struct {
	writer, highest int64
	readers         int
}

// readersWriter is the model: a writer needs that nobody holds, and a token higher than that of all writers before; a reader, that no
// writer holds, and a token that is no older than the last writer's. They may be equal: a writer that has made itself a reader
// shares its token.
var readersWriter = porcupine.Model{
	Init: func() any { return rwState{} },
	Step: func(before, input, _ any) (bool, any) {
		s, p := before.(rwState), input.(part)
		switch {
		case p.begin && p.share.Read:
			ok := s.writer == 0 && p.share.Token >= s.highest
			s.readers++
			return ok, s
		case p.begin:
			ok := s.writer == 0 && s.readers == 0 && p.share.Token > s.highest
			s.writer, s.highest = p.share.Token, p.share.Token
			return ok, s
		case p.share.Read:
			s.readers--
			return s.readers >= 0, s
		}
		ok := s.writer == p.share.Token
		s.writer = 0
		return ok, s
	},
	DescribeOperation: func(input, _ any) string { return input.(part).String() },
}

// semaphore is the model of so many permits: a holder needs that as many are left as it takes.
func semaphore(size int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(before, input, _ any) (bool, any) {
			out, p := before.(int), input.(part)
			if !p.begin {
				return out >= p.share.Takes, out - p.share.Takes
			}
			return out+p.share.Takes <= size, out + p.share.Takes
		},
		DescribeOperation: func(input, _ any) string { return input.(part).String() },
	}
}

// ReadersWriter checks the holds of each readers-writer lock; see Linearizable.
func ReadersWriter(shares []Share, timeout time.Duration, html string) []Violation {
	return linearize(readersWriter, shares, timeout, html)
}

// Semaphore checks the holds of each semaphore of this size; see Linearizable.
func Semaphore(size int, shares []Share, timeout time.Duration, html string) []Violation {
	return linearize(semaphore(size), shares, timeout, html)
}

// linearize checks the shares of each name against a model. A share begins between the call and the return of what took it. It ends some time
// after its holder believed for the last time, and before its release is known, if it ever is.
func linearize(model porcupine.Model, shares []Share, timeout time.Duration, html string) (found []Violation) {
	for name, line := range byName(shares, func(s Share) string { return s.Name }) {
		clients := numbers{}
		var ops []porcupine.Operation
		for _, s := range line {
			client := clients.of(s.Client)
			until := int64(math.MaxInt64)
			if s.Freed != 0 {
				until = max(s.Freed, s.To)
			}
			ops = append(ops,
				porcupine.Operation{ClientId: client, Input: part{s, true}, Call: s.Asked, Return: s.From},
				porcupine.Operation{ClientId: client, Input: part{s, false}, Call: s.To, Return: until},
			)
		}
		found = append(found, solve(model, name, len(line), ops, timeout, html)...)
	}
	return found
}
