package history

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const second = int64(time.Second)

// good is a history in which every invariant is tried. On x, a loses its hold, b waits for it and releases, a gives up a call, c is robbed; on
// y, d holds all the time.
func good() History {
	return History{
		TTL: 2 * time.Second,
		Holds: []Hold{
			{Name: "x", Client: "a", Token: 5, Asked: 10, From: 20, To: 100, Lost: true, Cause: Expired, Unlock: Expired},
			{Name: "x", Client: "b", Token: 7, Asked: 30, From: 130, To: 150, Cause: Released},
			{Name: "x", Client: "c", Token: 12, Asked: 300, From: 310, To: 420, Lost: true, Cause: Deleted, Unlock: Deleted},
			{Name: "x", Client: "b", Token: 14, Asked: 300, From: 410, To: 500, Cause: Released},
			{Name: "y", Client: "d", Token: 6, Asked: 10, From: 20, To: 900, Cause: Closed, Unlock: Closed},
			{Name: "y", Client: "e", Token: 16, Asked: 40, From: 910, To: 910, Killed: true},
		},
		Calls: []Call{{Name: "x", Client: "a", Asked: 160, Due: 200, Ended: 210, Error: "deadline"}},
		Keys: []Key{
			{Name: "x", Token: 5, Created: 15, Deleted: 120, Rev: 8, Lease: 1},
			{Name: "x", Token: 7, Created: 40, Deleted: 155, Rev: 11, Lease: 2},
			{Name: "x", Token: 9, Created: 170, Deleted: 220, Rev: 10, Lease: 1}, // of the call that was given up
			{Name: "x", Token: 12, Created: 305, Deleted: 405, Rev: 15, Lease: 3},
			{Name: "x", Token: 14, Created: 307, Deleted: 505, Rev: 17, Lease: 2},
			{Name: "y", Token: 6, Created: 15, Deleted: 905, Rev: 18, Lease: 4},
			{Name: "y", Token: 16, Created: 50, Deleted: second, Rev: 30, Lease: 5},
		},
		Leases: []Lease{{1, "a", 0, 910}, {2, "b", 0, 910}, {3, "c", 0, 910}, {4, "d", 905, 910}, {5, "e", 2 * second, 9 * second}},
		Writes: []Write{
			{Name: "x", Client: "a", Token: 5, Accepted: true, Rev: 6},
			{Name: "x", Client: "b", Token: 7, Accepted: true, Rev: 9},
			{Name: "x", Client: "a", Token: 5},
		},
		Stored: []Stored{{"x", 5, 6}, {"x", 7, 9}, {"x", 14, 16}},
		Ends: []End{
			{Client: "a", Name: "x", At: 900},
			{Client: "b", Name: "x", At: 900},
			{Client: "c", Name: "x", At: 900},
			{Client: "d", Name: "y", At: 900},
			{Client: "e", Name: "y", At: 950, Killed: true},
		},
		Robberies: []Robbery{{How: "deleted", Token: 12, From: 400}},
	}
}

func (h *History) all(html string) (map[string]int, []Violation) {
	tried, found := h.Check()
	n, bad := h.Linearizable(time.Minute, html)
	tried[Model] = n
	return tried, append(found, bad...)
}

func TestAGoodHistoryIsGood(t *testing.T) {
	t.Parallel()
	h := good()
	tried, found := h.all("")
	if len(found) > 0 {
		t.Error(found)
	}
	for _, i := range Invariants {
		if tried[i.ID] == 0 {
			t.Errorf("%s was not tried", i.ID)
		}
	}
	if m, ok := h.Margin(); !ok || m != 20 {
		t.Errorf("margin %d, %v", m, ok)
	}
}

// spoiled is a way to make a good history bad.
type spoiled struct {
	name, invariant string
	spoil           func(h *History)
}

// bad are histories with the invariant that each violates.
var bad = []spoiled{
	{"a lost hold is believed in too long", "X1", func(h *History) { h.Holds[0].To = 121; h.Holds[1].From = 140 }},
	{"a robbery of another key is no excuse", "X1", func(h *History) { h.Robberies[0].Token = 14 }},
	{"a robbery that came later is no excuse", "X1", func(h *History) { h.Robberies[0].From = 406 }},
	{"a robbery that was over is no excuse", "X1", func(h *History) { h.Robberies[0].From, h.Robberies[0].To = 200, 300 }},
	{"the lease of another was revoked", "X1", func(h *History) { h.Robberies[0].Token, h.Robberies[0].Lease = 0, 2 }},
	{"another client was frozen", "X1", func(h *History) { h.Robberies[0].Token, h.Robberies[0].Client = 0, "b" }},
	{"a lease is left", "X2", func(h *History) { h.Leases[0].Gone = 0 }},
	{"a lease goes too late", "X2", func(h *History) { h.Leases[4].Seen = 5 * second }},
	{"a key is left", "X2", func(h *History) { h.Keys[4].Deleted = 0 }},
	{"a goroutine is left", "X2", func(h *History) { h.Ends[0].Left = 1 }},
	{"lost without a reason", "X3", func(h *History) { h.Holds[0].Cause = "context canceled" }},
	{"Unlock hides a loss", "X3", func(h *History) { h.Holds[0].Unlock = Fine }},
	{"two reasons", "X3", func(h *History) { h.Holds[0].Unlock = Revoked }},
	{"told twice", "X3", func(h *History) { h.Holds[0].Again = Expired }},
	{"a release with a foreign error", "X3", func(h *History) { h.Holds[1].Unlock = "EOF" }},
	{"a release that was no release", "X3", func(h *History) { h.Holds[1].Cause = Closed }},
	{"the robbed one is not told", "X3", func(h *History) { h.Holds[2].To = 10 * second }},
	{"a call that failed leaves a key", "X4", func(h *History) { h.Keys[2].Deleted = 8 * second }},
	{"a key of no call", "X4", func(h *History) { h.Calls = nil }},
	{"tokens fall", "L1", func(h *History) { h.Holds[1].Token = 4; h.Keys[1].Token = 4 }},
	{"an old write is applied", "L2", func(h *History) { h.Stored = append(h.Stored, Stored{"x", 5, 20}) }},
	{"a write is applied when its key is gone", "L2", func(h *History) { h.Stored = append(h.Stored, Stored{"x", 14, 18}) }},
	{"a write that was never stored", "L2", func(h *History) { h.Writes[2].Accepted, h.Writes[2].Rev = true, 20 }},
	{"two hold", "L3", func(h *History) { h.Holds[1].From = 99 }},
	{"two hold, one of them robbed later", "L3", func(h *History) { h.Holds[3].From = 399 }},
	{"the key goes before the release", "L4", func(h *History) { h.Keys[1].Deleted = 149 }},
	{"a hold without a key", "L5", func(h *History) { h.Keys = h.Keys[1:] }},
	{"a hold whose key was gone before", "L5", func(h *History) { h.Keys[1].Deleted = 29 }},
	{"a hold whose key never was the first", "L5", func(h *History) { h.Keys[4].Rev = 14 }},
	{"a hold under another's lease", "L5", func(h *History) { h.Keys[1].Lease = 1 }},
	{"Lock ignores its context", "L6", func(h *History) { h.Calls[0].Ended = 4 * second }},
	{"Lock ignores its context while another client does not get to run", "L6", func(h *History) {
		h.Calls[0].Ended = 4 * second
		h.Disturbances = []Disturbance{{What: "stall", Client: "b", From: 200, To: 4 * second}}
	}},
	{"Lock ignores its context for longer than its client did not get to run", "L6", func(h *History) {
		h.Calls[0].Ended = 6 * second
		h.Disturbances = []Disturbance{{What: "stall", Client: "a", From: 200, To: 2 * second}}
	}},
	{"Lock ignores its context and holds", "L6", func(h *History) { h.Holds[4].Due, h.Holds[4].From, h.Holds[4].To = 1, 4*second, 4*second }},
	{"who gave up leaves a key, and holds with it later", "L6", func(h *History) {
		h.Keys[2].Deleted = 5 * second
		h.Holds = append(h.Holds, Hold{Name: "x", Client: "a", Token: 9, Asked: 4 * second, From: 4 * second, To: 5 * second, Cause: Released})
	}},
	{"who gave up leaves a key", "L6", func(h *History) { h.Keys[2].Deleted = 4 * second }},
	{"granted too early", "L7", func(h *History) { h.Keys[0].Rev = 10 }},
	{"granted beside a key that never went", "L7", func(h *History) { h.Keys[3].Rev = 0 }},
	{"two names keep each other out", "L8", exclude},
	{"a name waits for another", "L8", starve},
	{"two hold", Model, func(h *History) { h.Holds[1].From = 99; h.Holds[0].To = 110 }},
	{"a key that never went", Model, func(h *History) { h.Keys[0].Deleted = 0; h.Holds[0].To = 131 }},
}

// exclude lets x and z take turns.
func exclude(h *History) {
	for i := range int64(50) {
		h.Holds = append(h.Holds,
			Hold{Name: "x", Client: "a", Token: 100 + i, From: 1000 + 20*i, To: 1009 + 20*i},
			Hold{Name: "z", Client: "f", Token: 200 + i, From: 1010 + 20*i, To: 1019 + 20*i})
	}
}

// starve lets f wait for z until a lets go of x.
func starve(h *History) {
	h.Holds = append(h.Holds,
		Hold{Name: "x", Client: "a", Token: 100, From: second, To: 5 * second},
		Hold{Name: "z", Client: "f", Token: 101, Asked: second, From: 6 * second, To: 7 * second})
}

// Each check must be able to fail.
func TestABadHistoryIsFound(t *testing.T) {
	t.Parallel()
	for _, s := range bad {
		t.Run(s.invariant+" "+s.name, func(t *testing.T) {
			t.Parallel()
			h := good()
			s.spoil(&h)
			html := filepath.Join(t.TempDir(), "bad.html")
			_, found := h.all(html)
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == s.invariant }) {
				t.Errorf("was not found: %v", found)
			}
			if s.invariant == Model {
				if _, err := os.Stat(html); err != nil {
					t.Errorf("no picture: %v", err)
				}
			}
		})
	}
	for _, i := range Invariants {
		if !slices.ContainsFunc(bad, func(s spoiled) bool { return s.invariant == i.ID }) {
			t.Errorf("%s has no bad history", i.ID)
		}
	}
}

// What looks bad and is not.
func TestExcuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(h *History)
	}{
		{"the lease was revoked", func(h *History) { h.Robberies[0].Token, h.Robberies[0].Lease = 0, 3 }},
		{"any lease may have been", func(h *History) { h.Robberies[0].Token, h.Robberies[0].To = 0, 406 }},
		{"the client was frozen and woke up later", func(h *History) {
			h.Holds[0].To = 200
			h.Robberies = append(h.Robberies, Robbery{How: "frozen", Client: "a", From: 90, To: 199})
		}},
		{"the client was frozen before it was told of the grant", func(h *History) {
			h.Holds[0].From, h.Holds[0].To = 200, 210
			h.Robberies = append(h.Robberies, Robbery{How: "frozen", Client: "a", From: 90, To: 199})
		}},
		{"the call ended in an outage", func(h *History) {
			h.Calls[0].Error, h.Keys[2].Deleted = "deadline", 60*second
			h.Disturbances = []Disturbance{{What: "outage", From: 100, To: 59 * second}}
			h.Keys[2].Rev = 10
			for i := range h.Ends {
				h.Ends[i].At = 61 * second
			}
			for i := range h.Leases {
				h.Leases[i].Gone = 62 * second
			}
		}},
		{"the next call took the key over", func(h *History) {
			h.Calls = append(h.Calls, Call{Name: "x", Client: "a", Asked: 215, Ended: 20 * second})
			h.Keys[2].Deleted = 20 * second
			for i := range h.Ends {
				h.Ends[i].At = 21 * second
			}
			for i := range h.Leases {
				h.Leases[i].Gone = 22 * second
			}
		}},
		{"who does not get to run returns late", func(h *History) {
			h.Calls[0].Ended = 4 * second
			h.Disturbances = []Disturbance{{What: "stall", Client: "a", From: 200, To: 4 * second}}
		}},
		{"who was frozen returns late", func(h *History) {
			h.Calls[0].Ended = 10 * second
			h.Robberies = append(h.Robberies, Robbery{How: "frozen", Client: "a", From: 190, To: 9 * second})
		}},
		{"the client was killed in the call that put the key", func(h *History) {
			h.Keys = append(h.Keys, Key{Name: "y", Token: 19, Created: 940, Deleted: second, Rev: 31, Lease: 5})
		}},
		{"killed in the call that took over the key of the one before", func(h *History) {
			h.Keys = append(h.Keys, Key{Name: "y", Token: 19, Created: 930, Deleted: second, Rev: 31, Lease: 5})
			h.Calls = append(h.Calls, Call{Name: "y", Client: "e", Asked: 920, Ended: 935})
		}},
	}
	for _, test := range tests {
		h := good()
		test.spoil(&h)
		if _, found := h.all(""); len(found) > 0 {
			t.Errorf("%s: %v", test.name, found)
		}
	}
}

// A bad history is kept, and is judged the same when it is read again.
func TestAKeptHistoryIsJudgedAgain(t *testing.T) {
	t.Parallel()
	h := good()
	h.Holds[1].From = 99
	base := filepath.Join(t.TempDir(), "bad")
	first, err := h.Judge(base)
	if err != nil || len(first.Found) == 0 || !strings.HasPrefix(first.File, base) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := Read(first.File)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Judge(base + "-again")
	if err != nil || !slices.Equal(first.Found, second.Found) {
		t.Errorf("%v, %v, want %v", second.Found, err, first.Found)
	}
}
