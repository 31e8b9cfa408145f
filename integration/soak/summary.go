package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"etcdkit/integration/history"
	"etcdkit/integration/nemesis"
)

// ids are the names of all invariants, the model's last.
func ids() (all []string) {
	for _, i := range history.Invariants {
		all = append(all, i.ID)
	}
	return append(all, history.Model)
}

// tally is what was counted for one fault, or for all.
type tally struct {
	rounds, failed                int
	happened                      int64
	holds, calls, writes, refused int
	tried, violated               map[string]int
	margin                        time.Duration
	lost                          bool // margin counts
}

// summary counts by the names of faults.
type summary struct{ tallies map[string]*tally }

func (s *summary) of(f nemesis.Fault) *tally {
	if s.tallies == nil {
		s.tallies = make(map[string]*tally)
	}
	t := s.tallies[f.Name]
	if t == nil {
		t = &tally{tried: make(map[string]int), violated: make(map[string]int)}
		s.tallies[f.Name] = t
	}
	return t
}

// failed counts a round that came to no judgement.
func (s *summary) failed(f nemesis.Fault) { s.of(f).failed++ }

// add counts a round.
func (s *summary) add(f nemesis.Fault, rep *nemesis.Report, v history.Verdict) {
	t, h := s.of(f), &rep.History
	t.rounds++
	t.happened += rep.Happened
	t.holds += len(h.Holds)
	t.calls += len(h.Calls)
	t.writes += len(h.Writes)
	for _, w := range h.Writes {
		if !w.Accepted {
			t.refused++
		}
	}
	for id, n := range v.Tried {
		t.tried[id] += n
	}
	for _, bad := range v.Found {
		t.violated[bad.Invariant]++
	}
	if m, ok := h.Margin(); ok && (!t.lost || time.Duration(m) < t.margin) {
		t.margin, t.lost = time.Duration(m), true
	}
}

// print prints two tables: what happened, and how often each invariant was tried under each fault.
func (s *summary) print(out io.Writer, seed uint64, took time.Duration) {
	_, _ = fmt.Fprintf(out, "\nseed %d, %v\n\n", seed, took.Round(time.Second))
	s.table(out, []string{"rounds", "failed", "happened", "holds", "calls that failed", "guarded writes", "refused", "smallest margin"}, func(f nemesis.Fault, t *tally) []string {
		margin := "-"
		if t.lost {
			margin = t.margin.Round(time.Millisecond).String()
		}
		return []string{number(t.rounds), number(t.failed), fmt.Sprint(t.happened, " ", f.Counts), number(t.holds), number(t.calls), number(t.writes), number(t.refused), margin}
	})
	_, _ = fmt.Fprintln(out, "\nhow often each invariant was tried, and (violated)")
	s.table(out, ids(), func(_ nemesis.Fault, t *tally) (cells []string) {
		for _, id := range ids() {
			cell := number(t.tried[id])
			if n := t.violated[id]; n > 0 {
				cell += fmt.Sprintf(" (%d)", n)
			}
			cells = append(cells, cell)
		}
		return cells
	})
}

func number(n int) string { return fmt.Sprint(n) }

// table prints a line for each fault that came.
func (s *summary) table(out io.Writer, heads []string, cells func(nemesis.Fault, *tally) []string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(slices.Concat([]string{"fault"}, heads), "\t"))
	for _, f := range nemesis.Faults {
		if t := s.tallies[f.Name]; t != nil {
			_, _ = fmt.Fprintln(w, strings.Join(slices.Concat([]string{f.ID + " " + f.Name}, cells(f, t)), "\t"))
		}
	}
	_ = w.Flush()
}
