package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"etcdkit/election"
	"etcdkit/session"
)

// electRun is one run of a command that works while we lead.
type electRun struct {
	*elections
	cmd      *cobra.Command
	where    place
	value    string
	priority int
	preempt  bool
	restart  bool
	ttl      time.Duration
	grace    time.Duration
	labels   map[string]string
}

func newElectRun(l *elections) *cobra.Command {
	r := &electRun{elections: l}
	cmd := &cobra.Command{
		Use:   "run NAME -- COMMAND ARGS...",
		Short: "Run a command while we lead",
		Long: `Run COMMAND whenever this process is the leader of the election NAME: one at a time, of all that stand for it on any
machine. The others wait in line, ready to take over. Standard error tells for whom we wait, when we lead, and why we
no longer do.

COMMAND finds its fencing token in ETCDKIT_TOKEN and the name in ETCDKIT_ELECTION. Every leader's token is higher than
all before it: let what COMMAND writes to refuse a lower token than it has seen, and a late write of an earlier leader
does no harm.

When the term is over before COMMAND has ended, COMMAND and all that it started get SIGTERM, and SIGKILL when --grace
is over; then we stand in line again, and COMMAND is started anew for the next term. Where somebody asked the leader to
hand over ("elect transfer", "elect resign", or a better candidate with --preempt), the next one leads only after COMMAND
has ended. When etcd cannot be reached, COMMAND is told before anybody else can lead; the grace is not covered by that.

When COMMAND ends by itself, we resign, the next one leads at once, and etcdkit ends with its status. With --restart we
resign, pause, which is short unless that happens often, and stand in line again, whatever the status.

Signals are passed on as by "etcdkit lock run". After SIGINT, SIGTERM or SIGQUIT COMMAND is not started again: when it
has ended we resign, and end with its status. If etcdkit itself is killed with SIGKILL, COMMAND is too (on Linux), and
the next one leads within the TTL and 1.5 s.

With --priority at all candidates, a leader that resigns hands over to the best of those who wait. After a crash the
oldest leads; it makes room for a better one if it has --preempt.

"etcdkit help exit-status" tells the exit statuses.`,
		Example: `  etcdkit elect run scheduler -- ./scheduler --port 8080
  etcdkit elect run --restart --value $(hostname):8080 scheduler -- ./scheduler
  etcdkit elect run --priority 10 --preempt mailer -- ./mailer
  etcdkit elect run leader -- sh -c 'echo "my token is $ETCDKIT_TOKEN"; exec sleep 1000'`,
		Args:              checkElectArgs,
		Annotations:       map[string]string{runsCommand: ""},
		ValidArgsFunction: thenFiles(l.completeName),
	}
	r.where.addFlag(cmd, othersElect)
	flags := cmd.Flags()
	flags.StringVar(&r.value, "value", "", "what everybody reads of us when we lead, and can name us by; host and process id unless told otherwise")
	flags.IntVar(&r.priority, priorityFlag, 0, "from 0 to 100: a leader that resigns hands over to the highest")
	flags.BoolVar(&r.preempt, "preempt", false, "as the leader, hand over as soon as a candidate of a higher priority waits")
	flags.BoolVar(&r.restart, "restart", false, "start COMMAND again, in a later term, when it has ended by itself")
	flags.DurationVar(&r.ttl, "ttl", 10*time.Second, "how long we stay the leader when this process dies or loses touch with etcd; whole seconds")
	flags.DurationVar(&r.grace, "grace", 5*time.Second, "how long COMMAND has to end after the term is over, before it is killed")
	addLabelFlag(flags, &r.labels)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.cmd = cmd
		return r.run(args[0], args[1:])
	}
	return cmd
}

const priorityFlag = "priority"

// checkElectArgs accepts what a lock accepts, with a command: without one, nothing could be told of a loss.
func checkElectArgs(cmd *cobra.Command, args []string) error {
	switch err := checkRunArgs(cmd, args, electionName); {
	case err != nil:
		return err
	case len(args) == 1:
		return errors.New("the command is missing: NAME -- COMMAND")
	}
	return nil
}

func (r *electRun) run(name string, argv []string) error {
	if err := r.check(); err != nil {
		return err
	}
	k, err := newTask(r.program, r.cmd, argv, r.grace)
	if err != nil {
		return err
	}
	post := openPost(r.cmd.Context())
	defer post.close()
	client, err := r.conn.open(post.ctx)
	if err != nil {
		return because(post.ctx, err)
	}
	defer func() { _ = client.Close() }()
	w := newLookout(r)
	s := session.New(client, session.WithPrefix(r.prefix), session.WithTTL(r.ttl), session.WithLabels(r.labels),
		session.WithTrace(&session.Trace{Waiting: w.wake}))
	defer giveBack(s)
	t := &terms{electRun: r, name: name, task: k, post: post}
	e := election.New(s, name, t.options()...)
	switch leader, err := r.first(post.ctx, e); {
	case err != nil:
		return err
	case !leader.Vacant():
		w.tell(leader)
	}
	tellTTL(post.ctx, r.program, r.cmd, s, r.ttl)
	defer w.watch(e)()
	return t.serve(e)
}

// check refuses flags whose values make no sense.
func (r *electRun) check() error {
	if r.grace < 0 {
		return errors.New("--grace must not be negative")
	}
	return checkLabels(r.labels)
}
