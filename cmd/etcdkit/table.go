package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"etcdkit/lock"
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

var ownerHead = []string{"HOST", "PID", "SESSION SINCE", "TOKEN", "LABELS"}

// ownerCells describes an owner under ownerHead. What is not known, since a program without this kit put the key, is a dash.
func ownerCells(o lock.Owner) []string {
	cells := []string{o.Host, "", "", "", labels(o.Labels)}
	if o.PID != 0 {
		cells[1] = strconv.Itoa(o.PID)
	}
	if !o.Since.IsZero() {
		cells[2] = o.Since.Local().Format(timeFormat)
	}
	if o.Token != 0 {
		cells[3] = strconv.FormatInt(int64(o.Token), 10)
	}
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "-"
		}
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
