package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"etcdkit/lock"
	"etcdkit/session"
)

// lockRun is one run of a command under a lock.
type lockRun struct {
	*locks
	cmd    *cobra.Command
	where  place
	try    bool
	wait   time.Duration
	ttl    time.Duration
	grace  time.Duration
	labels map[string]string
}

func newLockRun(l *locks) *cobra.Command {
	r := &lockRun{locks: l}
	cmd := &cobra.Command{
		Use:   "run NAME [-- COMMAND ARGS...]",
		Short: "Run a command under a lock",
		Long: `Run COMMAND while no other process, on any machine, holds the lock NAME. If it is held, wait in line.

COMMAND finds its fencing token in ETCDKIT_TOKEN and the name in ETCDKIT_LOCK. Every holder's token is higher than all
before it: let what COMMAND writes to refuse a lower token than it has seen, and a late write of an earlier holder does
no harm. ETCD_LOCK_KEY and ETCD_LOCK_REV are set as by etcdctl: the key exists, with that create revision, exactly as
long as the lock is held.

Signals are passed on: SIGINT, SIGTERM and SIGQUIT to COMMAND and all that it started, SIGHUP, SIGUSR1 and SIGUSR2 to
COMMAND alone. What a shell script starts in the background (&) ignores SIGINT: end that with SIGTERM. When COMMAND
ends, the lock is free at once, and etcdkit ends with its status. If etcdkit itself is killed with SIGKILL, COMMAND is
too (on Linux), and the lock is free when its TTL has run out.

If the lock is lost, since etcd cannot be reached for too long or somebody broke the lock, COMMAND and all that it
started get SIGTERM, SIGKILL when --grace is over, and the exit status is 123. When etcd cannot be reached, that
begins before anybody else can have the lock; the grace is not covered by it.

In the foreground of a terminal COMMAND belongs to the same job as etcdkit: it can read from the terminal, which sends
it Ctrl-C itself, and Ctrl-Z stops both (and the lock is lost after its TTL). There a signal reaches COMMAND alone.

Without COMMAND the lock is held until SIGINT or SIGTERM, and its key is printed when it is.

"etcdkit help exit-status" tells the exit statuses.`,
		Example: `  etcdkit lock run nightly-report -- ./report.sh --all
  etcdkit lock run --try backup -- pg_dump -f dump.sql app
  etcdkit lock run --wait 30s --label job=$JOB deploy/web -- make deploy
  etcdkit lock run migrations -- sh -c 'echo "my token is $ETCDKIT_TOKEN"'`,
		Args:        cobra.MatchAll(checkLockArgs, exclusive("try", "wait")),
		Annotations: map[string]string{runsCommand: ""},
	}
	r.where.addFlag(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&r.try, "try", false, "do not wait: if the lock is held, tell by whom, and end with status 124")
	flags.DurationVar(&r.wait, "wait", 0, "wait no longer than this, also for etcd itself, and end with status 124; 0 means as long as it takes")
	flags.DurationVar(&r.ttl, "ttl", 10*time.Second, "how long the lock stays held when this process dies or loses touch with etcd; whole seconds")
	flags.DurationVar(&r.grace, "grace", 5*time.Second, "how long COMMAND has to end after the lock is lost, before it is killed")
	flags.StringToStringVar(&r.labels, "label", nil, "what others see of us, as `key=value`; can be repeated")
	flags.Lookup("label").DefValue = "" // or the help would show an empty list
	cmd.ValidArgsFunction = l.completeCommand
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.cmd = cmd
		return r.run(args[0], args[1:])
	}
	return cmd
}

// checkLockArgs accepts NAME, NAME -- COMMAND ARGS and, as etcdctl does, NAME COMMAND ARGS.
func checkLockArgs(cmd *cobra.Command, args []string) error {
	switch dash := cmd.ArgsLenAtDash(); {
	case len(args) == 0 || dash == 0:
		return errors.New("the name of the lock is missing")
	case dash > 1:
		return fmt.Errorf("one name before --, not %d", dash)
	case dash == len(args):
		return errors.New("the command after -- is missing")
	}
	return nil
}

func (r *lockRun) run(name string, argv []string) error {
	if err := r.check(); err != nil {
		return err
	}
	var path string
	if len(argv) > 0 {
		var err error
		if path, err = exec.LookPath(argv[0]); err != nil {
			return notRun(argv[0], err)
		}
	}
	ctx, stop := untilSignal(r.cmd.Context())
	defer stop()
	// Until COMMAND runs, these have nowhere to go; they must not end us in the middle either.
	defer signal.Stop(listen(messages...))
	wait, cancel := r.untilLate(ctx, name)
	defer cancel()
	client, err := r.conn.open(wait)
	if err != nil {
		return because(wait, err)
	}
	defer func() { _ = client.Close() }()
	s := session.New(client, session.WithPrefix(r.prefix), session.WithTTL(r.ttl), session.WithLabels(r.labels))
	defer r.close(s)
	hold, err := r.acquire(wait, lock.NewMutex(s, name, r.where.options(name)...))
	if err != nil {
		return err
	}
	r.tellTTL(ctx, s)
	if path == "" {
		err = r.holdOn(ctx, name, hold)
	} else {
		err = r.supervise(name, hold, path, argv, stop)
	}
	return r.release(hold, err)
}

// check refuses flags whose values make no sense.
func (r *lockRun) check() error {
	if r.wait < 0 || r.grace < 0 {
		return errors.New("--wait and --grace must not be negative")
	}
	if value, ok := r.labels[""]; ok {
		return fmt.Errorf("--label %q: the key is empty", "="+value)
	}
	return nil
}

// tellTTL says so if the server granted another TTL than the one that was asked for.
func (r *lockRun) tellTTL(ctx context.Context, s *session.Session) {
	ctx, cancel := r.conn.request(ctx)
	defer cancel()
	lease, err := s.Lease(ctx)
	if err == nil && lease.TTL() != r.ttl {
		notef(r.cmd, "--ttl %v: the server granted %v", r.ttl, lease.TTL())
	}
}

// holdOn holds the lock until a signal comes, which is how that is meant to end, or the lock is lost.
func (r *lockRun) holdOn(ctx context.Context, name string, hold *lock.Hold) error {
	result := struct {
		Lock  string        `json:"lock"`
		Key   string        `json:"key"`
		Token session.Token `json:"token"`
	}{name, keyOf(hold), hold.Token()}
	err := r.print(r.cmd, result, func() error {
		_, err := fmt.Fprintln(r.cmd.OutOrStdout(), result.Key)
		return err
	})
	if err != nil {
		return err
	}
	notef(r.cmd, "lock %q is held, token %d; Ctrl-C lets go of it", name, hold.Token())
	select {
	case <-ctx.Done():
		return nil
	case <-hold.Context().Done():
		return &statusError{statusLost, hold.Err()}
	}
}

// release lets go of the lock. err is how the command ended, which is the result as long as the lock was not lost before.
func (r *lockRun) release(hold *lock.Hold, err error) error {
	ctx, cancel := r.conn.request(context.Background())
	defer cancel()
	failed := hold.Unlock(ctx)
	var own *statusError
	switch {
	case failed == nil, errors.As(err, &own) && own.status == statusLost: // that has been told
		return err
	case errors.Is(failed, session.ErrLost):
		return &statusError{statusLost, failed}
	}
	notef(r.cmd, "%s; it is free when the TTL has run out", r.errorLine(failed))
	return err
}

// closeTime is how long we try to give the lease back.
const closeTime = time.Second

// close gives the lease back. If that fails, it runs out by itself. What was held was released before, and if that was not answered, or
// nothing was ever held since etcd does not answer, there is no point in much patience.
func (r *lockRun) close(s *session.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = s.Close(ctx)
}
