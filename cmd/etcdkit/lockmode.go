package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"etcdkit/lock"
	"etcdkit/session"
)

// mode is what flags say NAME is taken as: a lock, by one or by readers, or a semaphore.
type mode struct {
	read          bool
	permits, size int
}

func (m *mode) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&m.read, readFlag, false, "run beside others that only read, too, and keep out the rest")
	flags.IntVar(&m.permits, permitsFlag, 0, "NAME is a semaphore: take `N` of its permits; needs --size")
	addSizeFlag(flags, &m.size)
}

const (
	readFlag    = "read"
	permitsFlag = "permits"
	sizeFlag    = "size"
)

func addSizeFlag(flags *pflag.FlagSet, size *int) {
	flags.IntVar(size, sizeFlag, 0, "NAME is a semaphore with `S` permits, as long as no program has set another number; tell all the same")
}

// checkMode refuses flags that say two things at once. As with exclusive, arguments are when cobra can still tell a wrong command line.
func checkMode(cmd *cobra.Command, args []string) error {
	permits, size := cmd.Flags().Changed(permitsFlag), cmd.Flags().Changed(sizeFlag)
	switch err := exclusive(readFlag, permitsFlag)(cmd, args); {
	case err != nil:
		return err
	case permits && !size:
		return errors.New("--permits needs --size: how many permits there are")
	case size && !permits:
		return errors.New("--size needs --permits: how many of them to take")
	}
	return nil
}

// gate is the two ways to take a lock: to wait for it, or not.
type gate struct {
	wait, try func(ctx context.Context) (*lock.Hold, error)
}

func (r *lockRun) gate(s *session.Session, name string) gate {
	opts := r.where.options(name)
	switch {
	case r.semaphore():
		sem := lock.NewSemaphore(s, name, r.mode.size, opts...)
		return gate{
			wait: func(ctx context.Context) (*lock.Hold, error) { return sem.Acquire(ctx, r.mode.permits) },
			try:  func(ctx context.Context) (*lock.Hold, error) { return sem.TryAcquire(ctx, r.mode.permits) },
		}
	case r.mode.read:
		mu := lock.NewRWMutex(s, name, opts...)
		return gate{mu.RLock, mu.TryRLock}
	}
	mu := lock.NewMutex(s, name, opts...)
	return gate{mu.Lock, mu.TryLock}
}

func (r *lockRun) semaphore() bool { return r.cmd.Flags().Changed(permitsFlag) }

// noun is what NAME is.
func (r *lockRun) noun() string {
	if r.semaphore() {
		return "semaphore"
	}
	return "lock"
}
