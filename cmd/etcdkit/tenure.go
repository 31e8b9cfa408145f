package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"etcdkit/session"
)

// What the commands share that hold something for as long as another command runs.

func addLabelFlag(flags *pflag.FlagSet, labels *map[string]string) {
	flags.StringToStringVar(labels, "label", nil, "what others see of us, as `key=value`; can be repeated")
	flags.Lookup("label").DefValue = "" // or the help would show an empty list
}

func checkLabels(labels map[string]string) error {
	if value, ok := labels[""]; ok {
		return fmt.Errorf("--label %q: the key is empty", "="+value)
	}
	return nil
}

// tellTTL says so if the server granted another TTL than the one that was asked for.
func tellTTL(ctx context.Context, p *program, cmd *cobra.Command, s *session.Session, asked time.Duration) {
	ctx, cancel := p.conn.request(ctx)
	defer cancel()
	lease, err := s.Lease(ctx)
	if err == nil && lease.TTL() != asked {
		notef(cmd, "--ttl %v: the server granted %v", asked, lease.TTL())
	}
}

// closeTime is how long we try to give the lease back.
const closeTime = time.Second

// giveBack gives the lease back. If that fails, it runs out by itself. What was held was released before, and if that was not answered, or
// nothing was ever held since etcd does not answer, there is no point in much patience.
func giveBack(s *session.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = s.Close(ctx)
}
