package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"etcdkit/discovery"
)

// register is one registration.
type register struct {
	scope
	cmd       *cobra.Command
	instance  discovery.Instance
	probe     probe
	takeover  bool
	drainTime time.Duration
	ttl       time.Duration
}

func newRegister(p *program) *cobra.Command {
	r := &register{scope: scope{program: p}}
	cmd := &cobra.Command{
		Use:   "register NAME --addr HOST:PORT [-- COMMAND ARGS...]",
		Short: "Run a server and have it found as long as it is healthy",
		Long: `Run COMMAND, a server, and register it as an instance of the service NAME. Who watches the service, such as
"etcdkit gateway", sends it requests within milliseconds, and stops when it is gone.

With --check or --exec it gets requests only while that succeeds, and is shown as unhealthy before and meanwhile. --check is
a URL: of http and https a GET has to be answered with a status below 400 (certificates are not verified: it is about
health), of tcp://HOST:PORT a connection has to come about. --exec is a command for the shell, which has to end with 0.
Until the check succeeds for the first time it is made several times a second, and then every --interval.

COMMAND finds the name in ETCDKIT_SERVICE, its ID in ETCDKIT_INSTANCE and --addr in ETCDKIT_ADDR. When it ends, the instance
is deregistered at once, and etcdkit ends with its status. After SIGINT, SIGTERM or SIGQUIT the instance drains: it gets no
new requests. When --drain-time is over, so that all have noticed, COMMAND and all that it started get the signal, finish what
they are at, and end. A second signal is passed on at once, as are SIGHUP, SIGUSR1 and SIGUSR2. In the foreground of a
terminal, Ctrl-C reaches COMMAND at once.

While etcd cannot be reached COMMAND runs on, and whoever knows it goes on using it. If that lasts longer than the TTL and
etcd has forgotten it, it is registered again with the same ID. It takes etcd to start, though: an address that is none, an
ID that is taken, or an etcd that does not answer is an error before COMMAND runs. If etcdkit itself is killed with
SIGKILL, COMMAND is too (on Linux), and the list forgets the instance within the TTL and 1.5 s; until then, a gateway sends
requests that meet a closed port on to another instance.

Without COMMAND, a server that somebody else runs is registered until SIGINT or SIGTERM.

"etcdkit help exit-status" tells the exit statuses.`,
		Example: `  etcdkit register api --addr 10.0.0.7:8080 --check http://localhost:8080/healthz -- ./server --listen :8080
  etcdkit register db --addr 10.0.0.9:5432 --exec 'pg_isready -q' --interval 2s
  etcdkit register api --addr 10.0.0.7:8080 --zone b --weight 2 --port metrics=9090 --label canary=yes -- ./server`,
		Annotations: map[string]string{runsCommand: ""},
	}
	cmd.ValidArgsFunction = thenFiles(func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return (&services{r.scope}).completeName(cmd, args, begun) // when the flags of the scope are known
	})
	r.addFlags(cmd, "services")
	cmd.SetFlagErrorFunc(hintDashes)
	r.addInstanceFlags(cmd.Flags())
	r.probe.addFlags(cmd.Flags())
	cmd.Args = cobra.MatchAll(r.checkArgs, exclusive(checkFlag, execFlag))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.cmd = cmd
		return r.run(args[0], args[1:])
	}
	return cmd
}

func (r *register) addInstanceFlags(flags *pflag.FlagSet) {
	i := &r.instance
	flags.StringVar(&i.Addr, "addr", "", "where others reach the server, as `host:port`")
	flags.StringVar(&i.ID, "id", "", "its name within the service, which nobody else has; made up unless told otherwise")
	flags.StringVar(&i.Zone, "zone", "", "where it runs, for those who prefer what is near")
	flags.IntVar(&i.Weight, "weight", 1, "its share of the requests beside the others'")
	flags.StringVar(&i.Version, "version", "", "of the server's program")
	flags.StringVar(&i.Protocol, "protocol", "", "what it speaks at --addr: https has gateways use TLS")
	flags.StringToIntVar(&i.Ports, "port", nil, "a further port of the same host, as `name=number`; can be repeated")
	flags.Lookup("port").DefValue = "" // or the help would show an empty list
	addLabelFlag(flags, &i.Labels)
	flags.BoolVar(&r.takeover, "takeover", false, "take the --id over from whoever has it: a former process, before its TTL has run out")
	flags.DurationVar(&r.drainTime, "drain-time", 500*time.Millisecond, "how long COMMAND goes on after the signal to end, so that all have noticed that it drains")
	flags.DurationVar(&r.ttl, "ttl", 10*time.Second, "how long the list has us when this process dies or loses touch with etcd; whole seconds")
}

func (r *register) checkArgs(cmd *cobra.Command, args []string) error {
	if err := checkRunArgs(cmd, args, serviceName); err != nil {
		return err
	}
	if r.instance.Addr == "" {
		return errors.New("--addr is missing: where others reach the server")
	}
	if r.drainTime < 0 {
		return errors.New("--drain-time must not be negative")
	}
	if err := checkLabels(r.instance.Labels); err != nil {
		return err
	}
	return r.probe.check()
}

// options are those of the registration. With a COMMAND it is unhealthy until that runs, so that what is wrong with it is found before.
func (r *register) options(state *verdict) []discovery.Option {
	var opts []discovery.Option
	if state != nil {
		opts = append(opts, discovery.WithHealth(state.health, verdictEvery))
	}
	if r.takeover {
		opts = append(opts, discovery.WithTakeover())
	}
	return opts
}
