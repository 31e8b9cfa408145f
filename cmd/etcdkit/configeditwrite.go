package main

import (
	"context"
	"errors"
	"maps"

	"etcdkit/session"
)

func (e *configEdit) unchanged() error { return e.printWritten(e.cmd, "unchanged", e.old.rev) }

// changes returns what a text changes.
func (e *configEdit) changes(text []byte) (content, error) {
	value, _, err := e.as.parse(text)
	if err != nil {
		return content{}, err
	}
	values, err := e.where.split(value)
	if err != nil {
		return content{}, err
	}
	before := e.old.values
	if e.where.tree { // what was shown of text without quotes is JSON
		if before, err = paths(document(before)); err != nil {
			return content{}, err
		}
	}
	for path, value := range before {
		switch after, ok := values[path]; {
		case !ok:
			values[path] = nil
		case sameJSON(value, after):
			delete(values, path)
		}
	}
	maps.DeleteFunc(values, func(path string, value []byte) bool {
		_, there := before[path] // a key with null is, and can be taken out
		return value == nil && !there
	})
	return content{values, e.old.rev}, nil
}

func (e *configEdit) write(to content) error {
	var rev int64
	err := e.look(e.cmd, func(ctx context.Context, s *session.Session) (err error) {
		st := e.where.store(e.cmd, s, e.name)
		rev, err = e.where.write(ctx, st, to, e.remark.options(e.cmd))
		return e.where.became(ctx, st, "written", err)
	})
	var m *meeting
	switch {
	case errors.As(err, &m):
		if err := e.printConflict(m); err != nil {
			return err
		}
		return &statusError{statusConflict, err}
	case err != nil:
		return err
	}
	return e.printWritten(e.cmd, "written", rev)
}

// printConflict shows what they wrote besides what you did, and then what differs in that.
func (e *configEdit) printConflict(m *meeting) error {
	others := maps.Clone(m.theirs)
	maps.DeleteFunc(others, func(path string, _ []byte) bool {
		_, mine := m.Yours[path]
		return mine
	})
	if err := printTheirs(e.cmd, others); err != nil {
		return err
	}
	notef(e.cmd, "from theirs (-) to yours (+):")
	return printLines(e.cmd.ErrOrStderr(), differences(m.Values, m.Yours))
}
