package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// report collects results for the table and writes them, as they come, to the JSON file.
type report struct {
	results  []result
	file     io.WriteCloser
	terminal bool
}

func newReport(path string) (*report, error) {
	r := new(report)
	if info, err := os.Stderr.Stat(); err == nil {
		r.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	if path == "" {
		return r, nil
	}
	f, err := os.Create(path)
	r.file = f
	return r, err
}

// progress shows what is under way, on a terminal.
func (r *report) progress(what string) {
	if r.terminal {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", what)
	}
}

// line is a row in the JSON file.
type line struct {
	Row     string   `json:"row"`
	Unit    string   `json:"unit"`
	Ours    *float64 `json:"ours"`
	Peer    *float64 `json:"peer"`
	Limit   *float64 `json:"limit"`
	VsPeer  *float64 `json:"vs_peer"`
	VsLimit *float64 `json:"vs_limit"`
}

func (r *report) add(res result) error {
	r.results = append(r.results, res)
	r.progress("")
	if r.file == nil {
		return nil
	}
	return json.NewEncoder(r.file).Encode(line{
		Row: res.row.name, Unit: res.row.unit, Ours: res.ours, Peer: res.peer, Limit: res.limit,
		VsPeer: res.ratio(res.peer), VsLimit: res.ratio(res.limit),
	})
}

// close prints the table.
func (r *report) close() error {
	r.progress("")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	lines := []string{"row\tunit\tours\tpeer\tlimit\tvs peer\tvs limit\t\n"}
	for _, res := range r.results {
		cells := []string{
			res.row.name, res.row.unit, figure(res.ours), figure(res.peer), figure(res.limit),
			figure(res.ratio(res.peer)), figure(res.ratio(res.limit)),
		}
		lines = append(lines, strings.Join(cells, "\t")+"\t\n")
	}
	if _, err := io.WriteString(w, strings.Join(lines, "")); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// figure prints three digits that mean something.
func figure(f *float64) string {
	switch {
	case f == nil:
		return "-"
	case *f >= 100 || *f <= -100:
		return fmt.Sprintf("%.0f", *f)
	case *f >= 10 || *f <= -10:
		return fmt.Sprintf("%.1f", *f)
	default:
		return fmt.Sprintf("%.2f", *f)
	}
}
