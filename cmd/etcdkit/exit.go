package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"etcdkit/session"
)

// The exit statuses. Those from 123 on are only for commands that run another one, whose own statuses lie below: the last three
// are what env(1), timeout(1) and the shells use.
const (
	statusOK       = 0
	statusFailed   = 1
	statusUsage    = 2
	statusNobody   = 3
	statusConflict = 4
	statusLost     = 123
	statusNotFree  = 124
	statusOwn      = 125
	statusCannot   = 126
	statusNotFound = 127
	statusSignal   = 128 // and the signal's number
)

// statusError is an error with an exit status of its own. Without an err it is silent.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// runsCommand is the annotation of a command whose exit status is that of the command it runs: its own failures must not look
// like that one's.
const runsCommand = "etcdkit_runs_command"

// statusOf tells with what status the program ends because of err.
func statusOf(cmd *cobra.Command, err error, began bool) int {
	var own *statusError
	_, runs := cmd.Annotations[runsCommand]
	switch {
	case errors.As(err, &own):
		return own.status
	case runs:
		return statusOwn
	case !began, errors.Is(err, session.ErrBadName):
		return statusUsage
	}
	return statusFailed
}

// notef writes one line for the user to standard error. There is nobody to tell if that fails.
func notef(cmd *cobra.Command, format string, args ...any) {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "etcdkit: %s\n", escape(fmt.Sprintf(format, args...)))
}

// errorLine is errorLine with the name of the etcd that did not answer, where the error of a loss only says that time was over.
func (p *program) errorLine(err error) string {
	var lost *session.LostError
	if errors.As(err, &lost) && (errors.Is(lost.Err, context.DeadlineExceeded) || status.Code(lost.Err) == codes.DeadlineExceeded) {
		err = errors.New(strings.Replace(err.Error(), lost.Err.Error(), "no answer from etcd at "+p.conn.where(), 1))
	}
	return errorLine(err)
}

var (
	lineBreak = regexp.MustCompile(`\s*\n\s*`)
	// transport is what gRPC wraps around the reason of a failed connection, in several layers.
	transport = regexp.MustCompile(`rpc error: code = \w+ desc = |(last )?connection error: (desc = )?|transport: (Error while dialing: )?`)
)

// errorLine is the text of an error in one line, without the wrapping of gRPC. It is empty where only the status counts.
func errorLine(err error) string {
	var own *statusError
	if errors.As(err, &own) && own.err == nil {
		return ""
	}
	if errors.Is(err, session.ErrBadName) {
		err = innermost(err) // it names what is bad, and not all of a long name
	}
	text := err.Error()
	if s, ok := status.FromError(err); ok && s.Message() != "" && strings.Contains(text, "connection error") {
		text = strings.ReplaceAll(strings.ReplaceAll(text, `\"`, `"`), `"transport:`, `transport:`)
		text = strings.TrimSuffix(text, `"`)
	}
	text = transport.ReplaceAllString(text, "")
	return lineBreak.ReplaceAllString(strings.TrimSpace(text), " ")
}

// innermost is the error below those that only put something before its text.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil || !strings.HasSuffix(err.Error(), next.Error()) {
			return err
		}
		err = next
	}
}

func newExitStatusTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-status",
		Short: "The exit statuses",
		Long: `The exit statuses of etcdkit:

  0    done
  1    it failed; one line on standard error says why. If it says that a value may have been written, or may still be, etcd did
       not tell what became of it: "config history" does
  2    the command line or an environment variable is wrong
  3    nobody holds the lock that "lock break" should break, nobody leads whom "elect transfer" or "elect resign" could
       ask, or no instance has the ID that "services drain" should drain
  4    somebody else has written the value that "config put", "config edit", "config del" or "config rollback" should write
       or delete; nothing was written
  128+n  signal n ended "config edit" (130: Ctrl-C at a question, 143: SIGTERM) or another command for values; nothing was
       written, unless one line on standard error says that it may have been

"etcdkit lock NAME -- COMMAND", "etcdkit elect NAME -- COMMAND" and "etcdkit register NAME -- COMMAND" end with the status of
COMMAND, with 128 + n if signal n ended it, and otherwise

  123  the lock was lost while COMMAND ran; COMMAND was told to end. "elect" goes on after a lost term, and ends so only
       if COMMAND had just ended by itself. "register" never ends so
  124  the lock was not free: at once with --try, or within the time of --wait, in which etcd may not have answered at
       all; COMMAND did not run. "elect" and "register" never end so
  125  etcdkit itself failed, or its command line is wrong, or "register" cannot have the ID; COMMAND does not run
  126  COMMAND was found but cannot be run
  127  COMMAND was not found
  128+n  signal n came while etcdkit waited for the lock, or to lead, or for etcd (130: Ctrl-C, 143: SIGTERM); COMMAND does
       not run`,
	}
}
