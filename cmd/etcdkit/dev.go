package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

func newDev(p *program) *cobra.Command {
	var dataDir string
	var demo string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Start an etcd on this machine, to try things out",
		Long: `Start an etcd with a single member, which listens on this machine only: on 127.0.0.1:2379, or on another port when
that one is taken. It prints its endpoint, and the line that makes other etcdkit commands find it. Its data is kept
on disk: started again with the same --data-dir, it goes on where it was. Ctrl-C or SIGTERM stops it, in order.

It is for trying things out and for tests. It has no copies and no passwords: do not keep anything in it that you
would miss.

With --demo it needs nothing and keeps nothing, and shows a gateway at work: three servers and the gateway as processes, and
a load on them. A server is added, one is killed, and etcd itself is down for a while; you see who answers, and that no
request fails. With --demo=lock three processes take turns on a lock, with --demo=election three stand for an election, one
of them is killed, and you see how long the others wait; --demo=all shows all of it. Each takes less than half a minute.`,
		Example: `  etcdkit dev
  etcdkit dev --data-dir /var/tmp/etcd
  etcdkit dev --demo
  etcdkit dev --demo=lock`,
	}
	var acts []act // nil without --demo
	cmd.Args = cobra.MatchAll(exactly(), exclusive("data-dir", "demo"), func(cmd *cobra.Command, _ []string) (err error) {
		if cmd.Flags().Changed("demo") {
			acts, err = actsNamed(demo)
		}
		return err
	})
	cmd.Flags().StringVar(&dataDir, "data-dir", "default.etcdkit", "keep the data in this `directory`")
	cmd.Flags().StringVar(&demo, "demo", "", "show a gateway, a lock or an election at work, or all of them, and stop; one of `gateway, lock, election, all`")
	cmd.Flags().Lookup("demo").NoOptDefVal = demoActs[0].name
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if acts != nil {
			return runDemo(cmd, acts)
		}
		if dataDir == "" {
			return &statusError{statusUsage, errors.New("--data-dir must not be empty")}
		}
		return p.serve(cmd, dataDir)
	}
	return cmd
}

// serve runs an etcd until a signal ends it, which is how it is meant to end.
func (p *program) serve(cmd *cobra.Command, dataDir string) error {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", dataDir, err)
	}
	s, err := startServer(dir, true, nil)
	if err != nil {
		return err
	}
	defer s.close()
	if err := p.announce(cmd, s.endpoint(), dir); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.etcd.Err():
		return fmt.Errorf("etcd stopped: %w", err)
	}
}

func (p *program) announce(cmd *cobra.Command, endpoint, dir string) error {
	result := struct {
		Endpoint string `json:"endpoint"`
		DataDir  string `json:"data_dir"`
	}{endpoint, dir}
	return p.print(cmd, result, func() error {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), `etcd is ready on %s
its data is kept in %s

In another terminal:

  export ETCDKIT_ENDPOINTS=%s

Ctrl-C stops it.
`, endpoint, dir, endpoint)
		return err
	})
}
