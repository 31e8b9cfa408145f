package main

import (
	"context"
	"iter"
	"time"

	"github.com/spf13/cobra"
)

// staleFrom is how long what is followed must have been in doubt to be worth a line: what is found out at once is none.
const staleFrom = time.Second

// followed is something that changes.
type followed[T any] interface {
	Changes(ctx context.Context) iter.Seq2[*T, error]
}

// follow shows each change until ctx ends, which is how it is meant to end, and prints when what was shown is not certain any more, and when it
// is again. since tells that of a change.
func follow[T any](ctx context.Context, p *program, cmd *cobra.Command, v followed[T], since func(*T) time.Time, show func(*T) error) error {
	walking, stop := context.WithCancel(ctx)
	type step struct {
		change *T
		err    error
	}
	steps, done := make(chan step), make(chan struct{})
	go func() {
		defer close(done)
		for change, err := range v.Changes(walking) {
			select {
			case steps <- step{change, err}:
			case <-walking.Done():
			}
		}
	}()
	defer func() { stop(); <-done }()
	d := doubt{program: p, cmd: cmd, timer: time.NewTimer(0)}
	d.timer.Stop()
	defer d.timer.Stop()
	for {
		var err error
		select {
		case next := <-steps:
			if err = next.err; err == nil {
				err = show(next.change)
			}
			if err == nil {
				err = d.take(since(next.change))
			}
		case <-d.timer.C:
			err = d.tell()
		case <-ctx.Done():
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// doubt is what was told of whether what is followed is certain.
type doubt struct {
	*program
	cmd   *cobra.Command
	since time.Time   // when it was last certain; zero if it is
	timer *time.Timer // runs while it is in doubt, and that is not told yet
	told  bool
}

// take takes note of since when there is doubt.
func (d *doubt) take(since time.Time) error {
	was := d.since
	d.since = since
	switch {
	case since.IsZero():
		d.timer.Stop()
		if d.told {
			return d.tell()
		}
	case was.IsZero():
		d.timer.Reset(max(staleFrom-time.Since(since), 0))
	}
	return nil
}

// tell prints since when there is doubt, or that there is none any more.
func (d *doubt) tell() error {
	d.told = !d.since.IsZero()
	line := "certain again"
	result := struct {
		Stale      bool   `json:"stale"`
		StaleSince string `json:"stale_since,omitempty"`
	}{Stale: d.told}
	if d.told {
		line = "not certain since " + d.since.Local().Format(timeFormat)
		result.StaleSince = d.since.Format(timeFormat)
	}
	return d.print(d.cmd, result, func() error { return printLines(d.cmd.OutOrStdout(), line) })
}
