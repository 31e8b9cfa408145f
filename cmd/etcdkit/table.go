package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const timeFormat = time.RFC3339

// table writes rows in columns. The first row is the head. What others say of themselves must not move the reader's cursor: a cell that
// is not all printable is quoted.
func table(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = quoteUnprintable(cell)
		}
		if _, err := fmt.Fprintln(tw, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

var partyHead = []string{"HOST", "PID", "SESSION SINCE", "TOKEN", "LABELS"}

// cells describe a party under partyHead. What is not known, since a program without this kit put the key, is a dash.
func (p *party) cells() []string {
	cells := []string{p.Host, "", "", "", labels(p.Labels)}
	if p.PID != 0 {
		cells[1] = strconv.Itoa(p.PID)
	}
	if !p.since.IsZero() {
		cells[2] = p.since.Local().Format(timeFormat)
	}
	if p.Token != 0 {
		cells[3] = strconv.FormatInt(int64(p.Token), 10)
	}
	for i, cell := range cells {
		cells[i] = cmp.Or(cell, "-")
	}
	return cells
}

func labels(m map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, k+"="+m[k])
	}
	return strings.Join(pairs, ",")
}
