package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"etcdkit/config"
)

// meeting is a conflict with what they wrote, by path. What is gone is nil.
type meeting struct {
	*config.ConflictError
	theirs map[string][]byte
}

func (m *meeting) Unwrap() error { return m.ConflictError }

// final marks it as what is so however ctx ended.
func (m *meeting) final() {}

// withTheirs adds to a conflict what they wrote: that over a tree tells of the keys alone that were to be written, and may be about others.
func withTheirs(ctx context.Context, st *config.Store, err error) error {
	var conflict *config.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	m := &meeting{conflict, conflict.Values}
	if len(conflict.Moved) > 0 {
		if now, _, reading := st.GetAll(ctx); reading == nil { // without it there is less to show
			m.theirs = map[string][]byte{}
			for _, path := range conflict.Moved {
				m.theirs[path] = now[path]
			}
		}
	}
	return m
}

// mostTheirs is how many keys of a tree a conflict shows.
const mostTheirs = 20

// tellTheirs shows what a write met, if that is why it failed, and gives the error its status.
func tellTheirs(cmd *cobra.Command, err error) error {
	var m *meeting
	if !errors.As(err, &m) {
		return err
	}
	if err := printTheirs(cmd, m.theirs); err != nil {
		return err
	}
	return &statusError{statusConflict, err}
}

func printTheirs(cmd *cobra.Command, values map[string][]byte) error {
	for i, path := range sortedPaths(values) {
		title := "theirs"
		if path != "" {
			title += ", " + path
		}
		switch value := values[path]; {
		case i == mostTheirs:
			notef(cmd, "theirs: %d keys more", len(values)-i)
			return nil
		case value == nil:
			notef(cmd, "%s: it is not there any more", title)
		default:
			notef(cmd, "%s:", title)
			if err := printLines(cmd.ErrOrStderr(), string(pretty(value))); err != nil {
				return err
			}
		}
	}
	return nil
}
