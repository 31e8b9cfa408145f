package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// draft is a text in a file that somebody edits. It has a directory of its own, so that what editors leave beside a file is as private, and
// goes with it.
type draft struct {
	dir, path string
}

func newDraft(as format, text []byte) (*draft, error) {
	dir, err := os.MkdirTemp("", "etcdkit-edit-") // 0700
	if err != nil {
		return nil, err
	}
	d := &draft{dir, filepath.Join(dir, "value."+string(as))}
	if err := os.WriteFile(d.path, text, 0o600); err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

func (d *draft) read() ([]byte, error) { return os.ReadFile(d.path) }

// remove removes the draft. What cannot be removed is the user's own, in a place for what does not last.
func (d *draft) remove() { _ = os.RemoveAll(d.dir) }

// keep leaves the draft where it is, and returns where that is, unless it is still what it was at first.
func (d *draft) keep(first []byte) string {
	if text, err := d.read(); err != nil || bytes.Equal(text, first) {
		d.remove()
		return ""
	}
	return d.path
}

// edit runs the user's editor on it. Signals are the editor's meanwhile: those that are typed are for what is on the screen, and
// one that asks to end does so when the editor has ended. It gets the terminal, if there is one, and not what comes in a pipe.
func (d *draft) edit(cmd *cobra.Command, p *post, terminal *os.File) error {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	// As git does: what they hold may have arguments. The shell makes room for it, so that signals reach the editor and no other.
	run := exec.Command("sh", "-c", "exec "+editor+` "$1"`, "sh", d.path)
	run.Stdin, run.Stdout, run.Stderr = cmd.InOrStdin(), cmd.ErrOrStderr(), cmd.ErrOrStderr()
	if terminal != nil {
		run.Stdin = terminal
	}
	p.toCommand()
	defer p.toUs()
	c, err := start(run)
	if err != nil {
		return fmt.Errorf("editor %q: %w", editor, err)
	}
	var asked os.Signal
	for {
		select {
		case sig := <-p.signals:
			c.pass(sig)
			if sig == syscall.SIGTERM || sig == syscall.SIGHUP {
				asked = sig
			}
		case <-c.done:
			if asked != nil {
				return signalled(asked)
			}
			return editorError(editor, c.err)
		}
	}
}

// editorError is nil if the editor ended well.
func editorError(editor string, err error) error {
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return fmt.Errorf("editor %q ended with status %d: nothing was written", editor, exit.ExitCode())
	}
	return fmt.Errorf("editor %q: %w: nothing was written", editor, err)
}
