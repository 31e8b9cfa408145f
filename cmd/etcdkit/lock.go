package main

import (
	"github.com/spf13/cobra"

	"etcdkit/lock"
)

// locks is what the lock commands share.
type locks struct {
	scope
}

func newLock(p *program) *cobra.Command {
	l := &locks{scope{program: p}}
	cmd := newLockRun(l)
	cmd.Use = "lock NAME [-- COMMAND ARGS...]"
	cmd.Short = "Run a command under a lock; show and break locks, resize semaphores"
	cmd.Long = `Run COMMAND while no other process, on any machine, holds the lock NAME. This is "etcdkit lock run", for short: see
"etcdkit help lock run" for all of it. A lock whose name is that of a subcommand needs the long form.`
	cmd.Example = `  etcdkit lock nightly-report -- ./report.sh
  etcdkit lock ls
  etcdkit lock owners nightly-report`
	l.addFlags(cmd, "locks")
	cmd.SetFlagErrorFunc(hintDashes)
	cmd.AddCommand(newLockRun(l), newLockList(l), newLockOwners(l), newLockBreak(l), newLockResize(l))
	return cmd
}

// owner is an owner in JSON output. Size is that of the semaphore, where it is one.
type owner struct {
	Key     string `json:"key"`
	Holder  bool   `json:"holder"`
	Read    bool   `json:"read,omitempty"`
	Permits int    `json:"permits,omitempty"`
	Size    int    `json:"size,omitempty"`
	party
}

func describeOwner(o lock.Owner) owner {
	return owner{
		Key: o.Key, Holder: o.Holder, Read: o.Read, Permits: o.Permits,
		party: describeParty(o.Token, o.Lease, o.Host, o.PID, o.Since, o.Labels),
	}
}
