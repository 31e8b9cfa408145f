package history

import (
	"slices"
	"testing"
	"time"
)

func share(client string, token, asked, from, to, freed int64) Share {
	return Share{Hold: Hold{Name: "x", Client: client, Token: token, Asked: asked, From: from, To: to}, Freed: freed}
}

func reader(s Share) Share { s.Read = true; return s }

func takes(n int, s Share) Share { s.Takes = n; return s }

func TestReadersWriterHistories(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		shares []Share
		good   bool
	}{
		{"nothing", nil, true},
		{"readers beside each other, then a writer", []Share{
			reader(share("a", 5, 0, 10, 50, 55)), reader(share("b", 5, 0, 20, 60, 65)), share("c", 7, 30, 70, 80, 85), reader(share("a", 8, 75, 90, 99, 0)),
		}, true},
		{"a writer whose release is under way, and the next", []Share{share("a", 5, 0, 10, 50, 0), share("b", 7, 20, 60, 70, 0)}, true},
		{"a writer that has made itself a reader", []Share{share("a", 5, 0, 10, 20, 30), reader(share("a", 5, 20, 30, 60, 65)), reader(share("b", 6, 0, 35, 70, 75))}, true},
		{"a reader beside a writer", []Share{share("a", 5, 0, 10, 50, 55), reader(share("b", 6, 0, 40, 60, 65))}, false},
		{"a writer beside a reader", []Share{reader(share("a", 5, 0, 10, 50, 55)), share("b", 6, 0, 49, 60, 65)}, false},
		{"two writers", []Share{share("a", 5, 0, 10, 50, 55), share("b", 6, 0, 49, 60, 65)}, false},
		{"a token from before", []Share{share("a", 7, 0, 10, 50, 55), share("b", 6, 0, 70, 80, 85)}, false},
		{"a reader's token from before a writer", []Share{share("a", 7, 0, 10, 50, 55), reader(share("b", 6, 0, 70, 80, 85))}, false},
	}
	for _, test := range tests {
		if found := ReadersWriter(test.shares, time.Minute, ""); (len(found) == 0) != test.good {
			t.Errorf("%s: %v", test.name, found)
		}
	}
}

func TestSemaphoreHistories(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		shares []Share
		good   bool
	}{
		{"nothing", nil, true},
		{"all permits, one by one and at once", []Share{
			takes(1, share("a", 5, 0, 10, 50, 55)), takes(2, share("b", 6, 0, 20, 60, 65)), takes(3, share("c", 7, 30, 70, 80, 85)),
		}, true},
		{"one too many", []Share{takes(1, share("a", 5, 0, 10, 50, 55)), takes(3, share("b", 6, 0, 49, 60, 65))}, false},
		{"one too many by itself", []Share{takes(4, share("a", 5, 0, 10, 50, 55))}, false},
		{"one too many, of a lost one that believed to the end", []Share{takes(2, share("a", 5, 0, 10, 50, 0)), takes(2, share("b", 6, 0, 49, 60, 0))}, false},
		{"a lost one, and the next", []Share{takes(2, share("a", 5, 0, 10, 50, 0)), takes(2, share("b", 6, 0, 51, 60, 0))}, true},
	}
	for _, test := range tests {
		if found := Semaphore(3, test.shares, time.Minute, ""); (len(found) == 0) != test.good {
			t.Errorf("%s: %v", test.name, found)
		}
	}
}

// shared is a good history of a semaphore with three permits, in which a holds two, b one beside it, c two after a, and d all after all others;
// as a lock (locked), a and b are readers and c and d writers.
func shared() History {
	line := []struct {
		client           string
		token            int64
		takes            int
		asked, from, to  int64
		gone, write, rev int64 // when its key was seen to go, the revision of its write, and that of the key's end
	}{
		{"a", 5, 2, 10, 20, 100, 110, 8, 12},
		{"b", 6, 1, 12, 25, 150, 160, 9, 15},
		{"c", 7, 2, 14, 120, 180, 190, 13, 17},
		{"d", 10, 3, 30, 200, 300, 310, 18, 20},
	}
	h := History{TTL: 2 * time.Second, Size: 3}
	for i, l := range line {
		lease, what := int64(i+1), Portion{Takes: l.takes}
		h.Holds = append(h.Holds, Hold{Name: "x", Client: l.client, Token: l.token, Portion: what, Asked: l.asked, From: l.from, To: l.to, Cause: Released})
		h.Keys = append(h.Keys, Key{Name: "x", Token: l.token, Portion: what, Created: l.asked, Deleted: l.gone, Rev: l.rev, Lease: lease})
		h.Leases = append(h.Leases, Lease{ID: lease, Client: l.client, Gone: 400})
		h.Writes = append(h.Writes, Write{Name: "x", Client: l.client, Token: l.token, Accepted: true, Rev: l.write})
		h.Stored = append(h.Stored, Stored{"x", l.token, l.write})
		h.Ends = append(h.Ends, End{Client: l.client, Name: "x", At: 350})
	}
	return h
}

func locked() History {
	h := shared()
	h.Size = 0
	for i := range h.Holds {
		h.Holds[i].Portion = Portion{Read: i < 2}
		h.Keys[i].Portion = h.Holds[i].Portion
	}
	h.Holds[2].From = 170 // when b is gone too
	h.Writes[2].Rev, h.Stored[2].Rev = 16, 16
	return h
}

func TestAGoodSharedHistoryIsGood(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]History{"semaphore": shared(), "lock": locked()} {
		tried, found := h.all("")
		if len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
		if tried[Model] != 8 || tried["L1"] == 0 || tried["L3"] == 0 {
			t.Errorf("%s: tried %v", name, tried)
		}
	}
}

// Each check that asks how much there is must be able to fail.
func TestABadSharedHistoryIsFound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, invariant string
		begin           func() History
		spoil           func(h *History)
	}{
		{"one permit too many", "L3", shared, func(h *History) { h.Holds[2].From = 99 }},
		{"one permit too many", Model, shared, func(h *History) { h.Holds[2].From = 99 }},
		{"one permit too many while two hold", "L3", shared, func(h *History) { h.Holds[3].From = 149 }},
		{"one permit too many, of one that was frozen too late", "L3", shared, func(h *History) {
			h.Holds[0].To, h.Holds[0].Lost = 130, true
			h.Robberies = []Robbery{{How: "frozen", Client: "a", From: 125, To: 129}}
		}},
		{"a token from before", "L1", shared, func(h *History) { h.Holds[3].Token = 4 }},
		{"a key that takes fewer permits", "L5", shared, func(h *History) { h.Keys[0].Takes = 1 }},
		{"no room as long as the key was there", "L5", shared, func(h *History) { h.Keys[2].Rev = 11 }},
		{"a write with no room", "L7", shared, func(h *History) { h.Writes[2].Rev, h.Stored[2].Rev = 11, 11 }},
		{"a write when the key is gone", "L2", shared, func(h *History) { h.Stored = append(h.Stored, Stored{"x", 10, 21}) }},
		{"a write after one that excludes it", "L2", shared, func(h *History) { h.Keys[1].Rev = 0; h.Stored = append(h.Stored, Stored{"x", 6, 19}) }},
		{"a reader beside a writer", "L3", locked, func(h *History) { h.Holds[2].From = 149 }},
		{"a reader beside a writer", Model, locked, func(h *History) { h.Holds[2].From = 149 }},
		{"a key that says it is a reader's", "L5", locked, func(h *History) { h.Keys[2].Read = true }},
		{"a writer that wrote beside a reader", "L7", locked, func(h *History) { h.Writes[2].Rev, h.Stored[2].Rev = 14, 14 }},
		{"a reader's write when its key is gone", "L2", locked, func(h *History) { h.Stored = append(h.Stored, Stored{"x", 5, 14}) }},
	} {
		h := test.begin()
		test.spoil(&h)
		if _, found := h.all(""); !slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == test.invariant }) {
			t.Errorf("%s was not found by %s: %v", test.name, test.invariant, found)
		}
	}
}

// A frozen one has a right to believe in what it had, and in nothing else: who came in meanwhile was not beside it.
func TestAFrozenSharerIsExcused(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]History{"semaphore": shared(), "lock": locked()} {
		h.Holds[0].To, h.Holds[0].Lost, h.Holds[0].Cause, h.Holds[0].Unlock = 320, true, Expired, Expired
		h.Robberies = []Robbery{{How: "frozen", Client: "a", From: 90, To: 319}}
		if _, found := h.all(""); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
