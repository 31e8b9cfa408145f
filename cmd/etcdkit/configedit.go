package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

// configEdit is one edit.
type configEdit struct {
	*configs
	cmd    *cobra.Command
	where  spot
	as     format
	remark remark
	yes    bool

	post  *post
	name  string
	old   content
	shown []byte // the text that the editor was given at first
	draft *draft
}

func newConfigEdit(c *configs) *cobra.Command {
	e := &configEdit{configs: c}
	cmd := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change a value in an editor",
		Long: `Open the value NAME in $VISUAL or $EDITOR, or else in vi, and write what you make of it: as JSON, or with --format yaml
as YAML, whose comments are not kept. If there is no value yet, you begin with an empty object.

A text with an error in it is told so and, if you like, opened again. Then the changes are shown, and written if you
agree; --yes does not ask, neither here nor after an error. If nothing changed, nothing is written.

If somebody else wrote meanwhile, nothing is written either: the difference between theirs and yours is shown, and the
status is 4. Your text is kept then, and whenever it was not written, in a file that is named and that only you
can read.

With --tree you edit an object whose fields are the keys of the tree: a field that you take out is a key that is deleted.`,
		Example: `  etcdkit config edit app/api
  etcdkit config edit app/api --format yaml --comment "slower, for the migration"
  EDITOR="code --wait" etcdkit config edit --tree app/api`,
		Args:              cobra.MatchAll(exactly(configName), e.as.check),
		ValidArgsFunction: c.completeName(&e.where),
	}
	e.where.addFlags(cmd)
	e.as.addFlag(cmd, "edit it as `json or yaml`; JSON unless told otherwise")
	e.remark.addFlags(cmd)
	cmd.Flags().BoolVarP(&e.yes, "yes", "y", false, "write without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e.cmd, e.name = cmd, args[0]
		return e.run()
	}
	return cmd
}

func (e *configEdit) run() error {
	e.post = openPost(e.cmd.Context()) // a signal must not leave the text behind without a word
	defer e.post.close()
	e.cmd.SetContext(e.post.ctx)
	if err := e.open(); err != nil {
		return err
	}
	if err := e.edit(); err != nil {
		if path := e.draft.keep(e.shown); path != "" {
			notef(e.cmd, "your text is kept in %s", path)
		}
		return err
	}
	e.draft.remove()
	return nil
}

// open reads the value and makes a draft of it.
func (e *configEdit) open() error {
	err := e.look(e.cmd, func(ctx context.Context, s *session.Session) (err error) {
		e.old, err = e.where.read(ctx, e.where.store(e.cmd, s, e.name))
		return err
	})
	if err != nil {
		return err
	}
	value := e.where.whole(e.old.values)
	if !e.old.there() {
		value = []byte("{}")
	}
	if e.shown, err = e.as.spell(value); err != nil {
		return fmt.Errorf("config %q: %w", e.name, err)
	}
	if e.draft, err = newDraft(e.as.of(""), e.shown); err != nil {
		return fmt.Errorf("edit %q: %w", e.name, err)
	}
	return nil
}

// edit edits until there is something that can be written, and writes it.
func (e *configEdit) edit() error {
	for {
		if err := e.draft.edit(e.cmd, e.post); err != nil {
			return fmt.Errorf("edit %q: %w", e.name, err)
		}
		text, err := e.draft.read()
		if err != nil {
			return fmt.Errorf("edit %q: %w", e.name, err)
		}
		again, err := e.judge(text)
		if err != nil || !again {
			return err
		}
	}
}

// judge does with a text what is to be done with it, unless it has to be edited again.
func (e *configEdit) judge(text []byte) (again bool, err error) {
	if bytes.Equal(text, e.shown) {
		return false, e.unchanged()
	}
	to, err := e.changes(text)
	if err != nil {
		err = fmt.Errorf("edit %q: %w", e.name, err)
		if e.yes {
			return false, err
		}
		notef(e.cmd, "%s", e.errorLine(err))
		answer, noAnswer := e.ask("edit it again? [Y/n]")
		if noAnswer == nil && answer == "n" {
			return false, err
		}
		return true, noAnswer
	}
	if len(to.values) == 0 {
		return false, e.unchanged()
	}
	if err := printLines(e.cmd.ErrOrStderr(), config.Diff(e.shown, text)); err != nil {
		return false, err
	}
	if !e.yes {
		switch answer, err := e.ask("write it? [y/N], or e to edit it again"); {
		case err != nil || answer == "e":
			return true, err
		case answer != "y":
			return false, fmt.Errorf("edit %q: nothing was written, since you said so", e.name)
		}
	}
	return false, e.write(to)
}

// ask puts a question to the user.
func (e *configEdit) ask(text string) (string, error) {
	answer, err := question(e.post.ctx, e.cmd, text)
	if err != nil {
		return "", fmt.Errorf("edit %q: %w", e.name, err)
	}
	return answer, nil
}

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
	maps.DeleteFunc(values, func(path string, value []byte) bool { return value == nil && before[path] == nil })
	return content{values, e.old.rev}, nil
}

func (e *configEdit) write(to content) error {
	var rev int64
	err := e.look(e.cmd, func(ctx context.Context, s *session.Session) (err error) {
		rev, err = e.where.write(ctx, e.where.store(e.cmd, s, e.name), to, e.remark.options())
		return err
	})
	var conflict *config.ConflictError
	switch {
	case errors.As(err, &conflict):
		notef(e.cmd, "from theirs (-) to yours (+):")
		if err := printLines(e.cmd.ErrOrStderr(), differences(conflict.Values, conflict.Yours)); err != nil {
			return err
		}
		return &statusError{statusConflict, err}
	case err != nil:
		return err
	}
	return e.printWritten(e.cmd, "written", rev)
}
