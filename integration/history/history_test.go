package history

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// good is two holds one after the other, the first one lost, the second released.
func good() History {
	return History{
		Holds: []Hold{
			{Name: "x", Client: "a", Token: 5, Asked: 10, From: 20, To: 100, Lost: true},
			{Name: "x", Client: "b", Token: 7, Asked: 30, From: 130, To: 150},
			{Name: "y", Client: "c", Token: 6, Asked: 10, From: 20, To: 200},
		},
		Keys: []Key{{Name: "x", Token: 5, Deleted: 120}, {Name: "x", Token: 7, Deleted: 155}, {Name: "y", Token: 6}},
		Writes: []Write{
			{Name: "x", Client: "a", Token: 5, Accepted: true, Rev: 6},
			{Name: "x", Client: "b", Token: 7, Accepted: true, Rev: 8},
			{Name: "x", Client: "a", Token: 5, Accepted: false},
		},
	}
}

func TestAGoodHistoryIsGood(t *testing.T) {
	t.Parallel()
	h := good()
	if found := append(h.Check(), Linearizable(h.Holds, h.Keys, time.Minute, "")...); len(found) > 0 {
		t.Error(found)
	}
	if m, ok := Margin(h.Holds, h.Keys); !ok || m != 20 {
		t.Errorf("margin %d, %v", m, ok)
	}
}

// Each check must be able to fail.
func TestABadHistoryIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		invariant string
		spoil     func(h *History)
	}{
		{"L3", func(h *History) { h.Holds[1].From = 99 }},
		{"L1", func(h *History) { h.Holds[1].Token = 4; h.Keys[1].Token = 4 }},
		{"X1", func(h *History) { h.Holds[0].To = 121; h.Holds[1].From = 140 }},
		{"L5", func(h *History) { h.Keys = h.Keys[1:] }},
		{"L5", func(h *History) { h.Keys[1].Deleted = 29 }},
		{"L2", func(h *History) { h.Writes[2].Accepted, h.Writes[2].Rev = true, 9 }},
		{"fenced mutex", func(h *History) { h.Holds[1].From = 99; h.Holds[0].To = 110 }},
		{"fenced mutex", func(h *History) { h.Keys[0].Deleted = 0; h.Holds[0].To = 131 }},
	}
	for _, test := range tests {
		h := good()
		test.spoil(&h)
		html := filepath.Join(t.TempDir(), "bad.html")
		found := append(h.Check(), Linearizable(h.Holds, h.Keys, time.Minute, html)...)
		hit := false
		for _, v := range found {
			hit = hit || v.Invariant == test.invariant
		}
		if !hit {
			t.Errorf("%s was not found: %v", test.invariant, found)
		}
		if test.invariant == "fenced mutex" {
			if _, err := os.Stat(html); err != nil {
				t.Errorf("no picture: %v", err)
			}
		}
	}
}
