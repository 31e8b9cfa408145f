package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// counter tells how far the run is.
type counter struct {
	out io.Writer
	of  int
	mu  sync.Mutex // protects n
	n   int
}

func (c *counter) tell(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	_, _ = fmt.Fprintf(c.out, "%3d/%d %s\n", c.n, c.of, what)
}

// String is a result in one line.
func (r result) String() string {
	if r.verdict == killed {
		return fmt.Sprintf("%s: killed after %.1f s", r.mutant, r.took.Seconds())
	}
	return fmt.Sprintf("%s: %s: %s", r.mutant, r.verdict, short(r.words))
}

// printList prints the mutants, and what their ids mean.
func printList(out io.Writer, mutants []mutant) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "mutant\tbreaks\tkiller") // Flush returns the first error
	says, used := promises(), make(map[string]bool)
	for _, m := range mutants {
		used[m.breaks] = true
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s %s\n", m, m.breaks, m.pkg, m.test)
	}
	_, _ = fmt.Fprintln(w)
	for _, id := range slices.Sorted(maps.Keys(used)) {
		_, _ = fmt.Fprintf(w, "%s: %s\n", id, says[id])
	}
	return w.Flush()
}

// printTable prints what became of each mutant. Its error counts those that were not killed.
func printTable(out io.Writer, results []result, took time.Duration) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "mutant\tbreaks\tkiller\tverdict\tin its words")
	left := 0
	for _, r := range results {
		outcome := string(r.verdict)
		if r.verdict == killed {
			outcome = fmt.Sprintf("killed after %.1f s", r.took.Seconds())
		} else {
			left++
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.mutant, r.breaks, r.test, outcome, short(r.words))
	}
	err := w.Flush()
	_, _ = fmt.Fprintf(out, "%d of %d killed, in %v\n", len(results)-left, len(results), took.Round(time.Second))
	if left > 0 {
		return cmp.Or(err, fmt.Errorf("%d of %d were not killed", left, len(results)))
	}
	return err
}

// short makes words fit into a table.
func short(words string) string {
	const most = 100
	words = strings.Join(strings.Fields(words), " ")
	if len(words) > most {
		words = words[:most] + "..."
	}
	return words
}
