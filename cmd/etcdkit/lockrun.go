package main

import (
	"errors"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"etcdkit/session"
)

// lockRun is one run of a command under a lock.
type lockRun struct {
	*locks
	cmd    *cobra.Command
	where  place
	mode   mode
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

With --read, others with --read may run at the same time, and only those without it are kept out. All are served in the
order in which they came: readers who come later do not keep a writer waiting.

With --permits N and --size S, NAME is a semaphore with S permits: COMMAND runs when N of them are free. All who use it
have to tell the same size; if another one is set in etcd ("etcdkit lock resize", or Semaphore.Resize of a program), that
counts instead. Locks and semaphores are apart: the same name for both is two things.

COMMAND finds its fencing token in ETCDKIT_TOKEN and the name in ETCDKIT_LOCK. Every holder's token is higher than all
before it: let what COMMAND writes to refuse a lower token than it has seen, and a late write of an earlier holder does
no harm (where several hold at once, with --read or --permits, that is of no use). ETCD_LOCK_KEY and ETCD_LOCK_REV are
set as by etcdctl: the key exists, with that create revision, exactly as long as the lock is held.

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
  etcdkit lock run --read catalog -- ./export.sh
  etcdkit lock run --permits 1 --size 4 downloads -- curl -O $URL
  etcdkit lock run --wait 30s --label job=$JOB deploy/web -- make deploy
  etcdkit lock run migrations -- sh -c 'echo "my token is $ETCDKIT_TOKEN"'`,
		Args:        cobra.MatchAll(checkLockArgs, exclusive("try", "wait"), checkMode),
		Annotations: map[string]string{runsCommand: ""},
	}
	r.where.addFlag(cmd, othersLock)
	flags := cmd.Flags()
	r.mode.addFlags(flags)
	flags.BoolVar(&r.try, "try", false, "do not wait: if the lock is held, tell by whom, and end with status 124")
	flags.DurationVar(&r.wait, "wait", 0, "wait no longer than this, also for etcd itself, and end with status 124; 0 means as long as it takes")
	flags.DurationVar(&r.ttl, "ttl", 10*time.Second, "how long the lock stays held when this process dies or loses touch with etcd; whole seconds")
	flags.DurationVar(&r.grace, "grace", 5*time.Second, "how long COMMAND has to end after the lock is lost, before it is killed")
	addLabelFlag(flags, &r.labels)
	cmd.ValidArgsFunction = thenFiles(l.completeName)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.cmd = cmd
		return r.run(args[0], args[1:])
	}
	return cmd
}

// checkLockArgs accepts NAME, NAME -- COMMAND ARGS and, as etcdctl does, NAME COMMAND ARGS.
func checkLockArgs(cmd *cobra.Command, args []string) error { return checkRunArgs(cmd, args, lockName) }

const lockName = "the name of the lock"

func (r *lockRun) run(name string, argv []string) error {
	if err := r.check(); err != nil {
		return err
	}
	var k *task // stays nil without COMMAND
	if len(argv) > 0 {
		var err error
		if k, err = newTask(r.program, r.cmd, argv, r.grace); err != nil {
			return err
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
	defer giveBack(s)
	hold, err := r.acquire(wait, r.gate(s, name))
	if err != nil {
		return err
	}
	tellTTL(ctx, r.program, r.cmd, s, r.ttl)
	if k == nil {
		err = r.holdOn(ctx, name, hold)
	} else {
		err = r.work(name, hold, k, stop)
	}
	return r.release(hold, err)
}

// check refuses flags whose values make no sense.
func (r *lockRun) check() error {
	if r.wait < 0 || r.grace < 0 {
		return errors.New("--wait and --grace must not be negative")
	}
	return checkLabels(r.labels)
}
