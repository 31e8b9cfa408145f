package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exactly accepts one argument for each name, and tells by its name which one is missing.
func exactly(names ...string) cobra.PositionalArgs { return atLeast(len(names), names...) }

// atLeast accepts one argument for each name, of which only the first n must be there.
func atLeast(n int, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return fmt.Errorf("%s is missing", names[len(args)])
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// exclusive refuses two flags at once. It is a check of arguments since that is when cobra can still tell a wrong command line.
func exclusive(one, other string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed(one) && cmd.Flags().Changed(other) {
			return fmt.Errorf("--%s and --%s exclude each other", one, other)
		}
		return nil
	}
}

// checkRunArgs accepts NAME, NAME -- COMMAND ARGS and NAME COMMAND ARGS. name is what NAME is.
func checkRunArgs(cmd *cobra.Command, args []string, name string) error {
	switch dash := cmd.ArgsLenAtDash(); {
	case len(args) == 0 || dash == 0:
		return fmt.Errorf("%s is missing", name)
	case dash > 1:
		return fmt.Errorf("one name before --, not %d", dash)
	case dash == len(args):
		return errors.New("the command after -- is missing")
	}
	return nil
}

// hintDashes is the error of a flag that a command for us to run may have been meant to get.
func hintDashes(cmd *cobra.Command, err error) error {
	_, runs := cmd.Annotations[runsCommand]
	if args := cmd.Flags().Args(); runs && len(args) > 1 { // those before the flag
		return fmt.Errorf(`%w: put "--" before the command (%s -- %s ...)`, err, args[0], strings.Join(args[1:], " "))
	}
	return err
}
