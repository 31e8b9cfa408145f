package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
	strictTopics(root)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return statusOK
	}
	switch text := p.errorLine(err); {
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
		Short: "Coordination on etcd: locks, leaders, live configuration, services and the gateway in front of them",
		Long: `etcdkit does from a shell what the etcdkit packages do in a Go program.

  etcdkit dev                          starts an etcd on this machine, to try things out
  etcdkit dev --demo                   shows a gateway while servers come, are killed, and etcd itself is down
  etcdkit lock NAME -- COMMAND         runs COMMAND while no other process holds the lock NAME
  etcdkit lock ls                      tells which locks are held, and by whom
  etcdkit elect NAME -- COMMAND        runs COMMAND while this process leads, one at a time in the whole fleet
  etcdkit elect ls                     tells which elections there are, and who leads
  etcdkit config edit NAME             changes a value that programs follow, if nobody else did
  etcdkit config status NAME           tells which revision of it each program runs, and who refused what
  etcdkit gateway --listen :8080       forwards HTTP requests to services, whoever comes and goes
  etcdkit register NAME -- COMMAND     runs COMMAND, a server, and has it found as long as it is healthy
  etcdkit services                     tells which services there are, and with how many instances
  etcdkit kv get KEY                   reads a key, as etcdctl does

Which etcd is meant is told to all commands but "etcdkit dev" by flags or by environment variables:
--endpoints by ETCDKIT_ENDPOINTS, and so on for each flag that names its variable. The flags that etcdctl knows too can
also be given by its variables, ETCDCTL_ENDPOINTS and so on. A flag wins over both, and ETCDKIT_ wins over ETCDCTL_.

Results go to standard output, everything else to standard error: errors are one line each, beginning with
"etcdkit:". "etcdkit help exit-status" lists the exit statuses.`,
		Example: `  etcdkit dev --demo
  etcdkit --endpoints 10.0.0.1:2379,10.0.0.2:2379 lock nightly-report -- ./report.sh
  etcdkit elect scheduler -- ./scheduler
  etcdkit config put app/api settings.yaml --comment "slower"
  etcdkit gateway --listen :8080 --route /api=api
  etcdkit register api --addr 10.0.0.7:80 --check http://localhost/healthz -- ./server
  ETCDCTL_ENDPOINTS=10.0.0.1:2379 etcdkit kv get --prefix config/`,
		Args:              cobra.NoArgs,
		RunE:              helpOnly,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: p.begin,
	}
	p.addOutputFlag(root)
	addVersion(root)
	root.AddCommand(newLock(p), newElect(p), newConfig(p), newGateway(p), newRegister(p), newServices(p), newKV(p), newDev(p), newExitStatusTopic(), newVersion(p))
	root.AddCommand(newDemoWorkers(p)...)
	allowBefore(root)
	return root
}

// allowBefore lets the flags of a connection stand before the command, too. They belong to the commands that connect, which parse them
// wherever they stand; root only has to know them to find the command behind them.
func allowBefore(root *cobra.Command) {
	var flags pflag.FlagSet
	new(connection).addFlags(&flags)
	flags.VisitAll(func(flag *pflag.Flag) { flag.Hidden, flag.Annotations = true, nil })
	root.Flags().AddFlagSet(&flags)
}

// helpOnly is what a command does that is only there for its subcommands.
func helpOnly(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// strictTopics makes errors of what cobra's own commands answer with a help text and status 0.
func strictTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.RunE = helpOnly // only a command that can be run has its arguments checked
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				_, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("no help on %q", strings.Join(args, " "))
				}
				return err
			}
		}
	}
}

// begin takes from the environment what no flag tells, once the command is known and its flags are read.
func (p *program) begin(cmd *cobra.Command, _ []string) error {
	if err := fromEnvironment(cmd.Flags()); err != nil {
		return err
	}
	if err := p.checkOutput(); err != nil {
		return err
	}
	if cmd.HasParent() && cmd.Flags().Lookup(endpointsFlag) != nil { // it connects
		if err := p.conn.prepare(); err != nil {
			return err
		}
	}
	p.began = true
	return nil
}
