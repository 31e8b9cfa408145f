package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// errNoAnswer and errNoTerminal are why a question is an error where nobody is there to answer it.
var (
	errNoAnswer   = errors.New("the terminal ends without an answer: give --yes to be asked nothing")
	errNoTerminal = errors.New("there is no terminal to ask at: give --yes to be asked nothing")
)

// terminalOf is where somebody types: standard input if it is a terminal, else the terminal that the program was started in, since what comes
// in a pipe is no answer to anything. Without one it is nil.
func terminalOf(cmd *cobra.Command) *os.File {
	if in, ok := cmd.InOrStdin().(*os.File); ok && isTerminal(in) {
		return in
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return nil
	}
	return tty
}

// question asks on standard error, and returns the answer from the terminal in small letters, without what is around it.
func question(ctx context.Context, cmd *cobra.Command, terminal *os.File, text string) (string, error) {
	if terminal == nil {
		return "", errNoTerminal
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s ", text) // if nobody sees it, there will be no answer
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() { // until there is a line, or the program ends: reading from a terminal cannot be called off
		text, err := readLine(terminal)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		if l.err != nil {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr())
		}
		return strings.ToLower(strings.TrimSpace(l.text)), l.err
	case <-ctx.Done():
		_, _ = fmt.Fprintln(cmd.ErrOrStderr())
		return "", context.Cause(ctx)
	}
}

// readLine reads a line and not a byte more: what follows may be for an editor.
func readLine(r io.Reader) (string, error) {
	var line strings.Builder
	for b := make([]byte, 1); ; {
		n, err := r.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return line.String(), nil
		case n == 1:
			line.WriteByte(b[0])
		case err == io.EOF:
			return "", errNoAnswer
		case err != nil:
			return "", fmt.Errorf("terminal: %w", err)
		}
	}
}
