package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"etcdkit/lock"
	"etcdkit/session"
)

func TestErrorLine(t *testing.T) {
	t.Parallel()
	refused := status.Error(codes.Unavailable, `last connection error: connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`)
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{errors.New("two\n\n\tlines \n"), "two lines"},
		{errors.New(`quotes "stay"`), `quotes "stay"`},
		{fmt.Errorf(`lock "": %w`, badName(t)), `bad lock name "": it is empty`},
		{fmt.Errorf("etcd at x: %w", refused), "etcd at x: dial tcp 127.0.0.1:1: connect: connection refused"},
		{errors.Join(errors.New("a"), errors.New("b")), "a b"},
		{&statusError{status: 3}, ""},
		{fmt.Errorf("get: %w", signalled(syscall.SIGTERM)), ""},
		{&statusError{3, errors.New("said")}, "said"},
	} {
		if got := errorLine(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// badName is the error of the kit for an empty name.
func badName(t *testing.T) error {
	t.Helper()
	_, err := lock.NewMutex(session.New(shared.client), "").TryLock(t.Context())
	if !errors.Is(err, session.ErrBadName) {
		t.Fatalf("got %v", err)
	}
	return err
}

func TestLossNamesTheEtcdThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	p := &program{conn: connection{endpoints: []string{"a:1", "b:2"}}}
	expired := func(err error) error {
		return fmt.Errorf("lock %q: %w", "x", &session.LostError{Reason: session.Expired, Err: err})
	}
	const silent = `lock "x": lost: the lease was not renewed in time (no answer from etcd at a:1,b:2)`
	for _, c := range []struct {
		err  error
		want string
	}{
		{expired(context.DeadlineExceeded), silent},
		{expired(status.Error(codes.DeadlineExceeded, "context deadline exceeded")), silent},
		{expired(errors.New("no leader")), `lock "x": lost: the lease was not renewed in time (no leader)`},
		{expired(nil), `lock "x": lost: the lease was not renewed in time`},
		{context.DeadlineExceeded, "context deadline exceeded"},
	} {
		if got := p.errorLine(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestStatusOf(t *testing.T) {
	t.Parallel()
	plain, runs := &cobra.Command{}, &cobra.Command{Annotations: map[string]string{runsCommand: ""}}
	plainErr, own := errors.New("any"), fmt.Errorf("wrapped: %w", &statusError{status: 9})
	for _, c := range []struct {
		cmd   *cobra.Command
		err   error
		began bool
		want  int
	}{
		{plain, plainErr, true, statusFailed},
		{plain, plainErr, false, statusUsage},
		{plain, fmt.Errorf("lock: %w", session.ErrBadName), true, statusUsage},
		{plain, own, true, 9},
		{runs, plainErr, true, statusOwn},
		{runs, plainErr, false, statusOwn},
		{runs, session.ErrBadName, true, statusOwn},
		{runs, own, true, 9},
		{runs, signalled(syscall.SIGINT), true, 130},
	} {
		if got := statusOf(c.cmd, c.err, c.began); got != c.want {
			t.Errorf("%v, began %v: %d, want %d", c.err, c.began, got, c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s: nothing is said of it", cmd.CommandPath())
		}
		if cmd.Runnable() && !cmd.Hidden && (cmd.Long == "" || cmd.Example == "") {
			t.Errorf("%s: no explanation or no example", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(&program{}))
	for _, args := range [][]string{{}, {"help"}, {"lock", "run", "--help"}, {"kv"}, {"help", "exit-status"}, {"completion"}, {"completion", "bash"}, {"version"}, {"--version"}} {
		stdout, stderr, status := etcdkit(t, args...)
		if status != 0 || stdout == "" || stderr != "" {
			t.Errorf("%v: status %d, %q", args, status, stderr)
		}
	}
}
