package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
)

// program is what the commands share: the flags that every one of them knows.
type program struct {
	conn   connection
	output string
	began  bool // the command line was understood: what fails from here on is not its fault
}

// run is the whole program: it returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// What gRPC has to say reaches the user as the error of a call, in one line.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	p := &program{}
	root := newRoot(p)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return statusOK
	}
	switch text := errorLine(err); {
	case text == "":
	case !p.began:
		notef(cmd, `%s; see "%s --help"`, text, cmd.CommandPath())
	default:
		notef(cmd, "%s", text)
	}
	return statusOf(cmd, err, p.began)
}

func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "etcdkit",
		Short: "Coordination on etcd: run a command under a lock, and look behind it",
		Long: `etcdkit does from a shell what the etcdkit packages do in a Go program.

  etcdkit dev                          starts an etcd on this machine, to try things out
  etcdkit dev --demo                   shows in a few seconds what a lock does when its holder is killed
  etcdkit lock NAME -- COMMAND         runs COMMAND while no other process holds the lock NAME
  etcdkit lock ls                      tells which locks are held, and by whom
  etcdkit kv get KEY                   reads a key, as etcdctl does

Which etcd is meant is told by flags or by environment variables: --endpoints by ETCDKIT_ENDPOINTS, and so on for each
flag that names its variable. The flags that etcdctl knows too can also be given by its variables, ETCDCTL_ENDPOINTS
and so on. A flag wins over both, and ETCDKIT_ wins over ETCDCTL_.

Results go to standard output, everything else to standard error: errors are one line each, beginning with
"etcdkit:". "etcdkit help exit-status" lists the exit statuses.`,
		Example: `  etcdkit dev --demo
  etcdkit --endpoints 10.0.0.1:2379,10.0.0.2:2379 lock nightly-report -- ./report.sh
  ETCDCTL_ENDPOINTS=10.0.0.1:2379 etcdkit kv get --prefix config/`,
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: p.begin,
	}
	p.conn.addFlags(root.PersistentFlags())
	p.addOutputFlag(root)
	root.AddCommand(newLock(p), newKV(p), newDev(p), newDemoWorker(p), newExitStatusTopic())
	return root
}

// begin takes from the environment what no flag tells, once the command is known and its flags are read.
func (p *program) begin(cmd *cobra.Command, _ []string) error {
	if err := fromEnvironment(cmd.Flags()); err != nil {
		return err
	}
	if err := p.checkOutput(); err != nil {
		return err
	}
	if err := cmd.ValidateFlagGroups(); err != nil { // cobra does that later, when it no longer looks like a wrong command line
		return err
	}
	p.began = true
	return nil
}
