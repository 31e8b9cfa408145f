package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

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

	post     *post
	terminal *os.File // nil if there is none
	name     string
	old      content
	shown    []byte // the text that the editor was given at first
	draft    *draft
}

func newConfigEdit(c *configs) *cobra.Command {
	e := &configEdit{configs: c}
	cmd := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change a value in an editor",
		Long: `Open the value NAME in $VISUAL or $EDITOR, or else in vi, and write what you make of it: as JSON, or with --format yaml
as YAML, whose comments are not kept. If there is no value yet, you begin with an empty object.

A text with an error in it is told so and, if you like, opened again. Then the changes are shown, and written if you
agree; --yes does not ask, neither here nor after an error. You are asked at the terminal, also where standard input is something
else, and where there is none the edit ends. If nothing changed, nothing is written, and the status is 0; nor is anything if you leave
the text empty, or if the editor fails, and the status is 1.

If somebody else wrote meanwhile, nothing is written either: the difference between theirs and yours is shown, and the
status is 4. Your text is kept then, and whenever it was not written or that is not known, in a file that is named and that
only you can read.

With --tree you edit an object whose fields are the keys of the tree: a field that you take out is a key that is deleted.

What is not UTF-8 cannot be edited: "etcdkit config put" replaces it.`,
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
	e.terminal = terminalOf(e.cmd)
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
	if e.shown, err = e.first(); err != nil {
		return fmt.Errorf("config %q: %w", e.name, err)
	}
	if e.draft, err = newDraft(e.as.of(""), e.shown); err != nil {
		return fmt.Errorf("edit %q: %w", e.name, err)
	}
	return nil
}

// first is the text that there is to edit. JSON with an error in it is one too: here it can be mended.
func (e *configEdit) first() ([]byte, error) {
	if e.where.tree {
		if err := checkText(e.old.values); err != nil {
			return nil, err
		}
	}
	value := e.where.whole(e.old.values)
	if !e.old.there() {
		value = []byte("{}")
	}
	as := e.as.of("")
	if as == formatJSON && notUTF8(value) < 0 {
		return append(pretty(value), '\n'), nil
	}
	return as.spell(value)
}

// edit edits until there is something that can be written, and writes it.
func (e *configEdit) edit() error {
	for {
		if err := e.draft.edit(e.cmd, e.post, e.terminal); err != nil {
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
	if len(bytes.TrimSpace(text)) == 0 { // which is how to think better of it
		e.shown = text // there is nothing to keep
		return false, fmt.Errorf("edit %q: nothing was written, since the text is empty", e.name)
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
	answer, err := question(e.post.ctx, e.cmd, e.terminal, text)
	if err != nil {
		return "", fmt.Errorf("edit %q: %w", e.name, err)
	}
	return answer, nil
}
