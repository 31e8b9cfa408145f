package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Environment variables that begin so stand in for flags: ours, and those that etcdctl knows.
const (
	ourVariables   = "ETCDKIT_"
	theirVariables = "ETCDCTL_"
)

// variables is the annotation of a flag that lists the environment variables which stand in for it, best first.
const variables = "etcdkit_variables"

// bindVariables lets environment variables stand in for a flag, and names the first in its help.
func bindVariables(flags *pflag.FlagSet, name string, prefixes ...string) {
	flag := flags.Lookup(name)
	var names []string
	for _, prefix := range prefixes {
		names = append(names, prefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	}
	flag.Usage += " [$" + names[0] + "]"
	flag.Annotations = map[string][]string{variables: names}
}

// fromEnvironment sets the flags that were not given from the first variable that is set and not empty.
func fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || failed != nil {
			return
		}
		for _, name := range flag.Annotations[variables] {
			value := os.Getenv(name)
			if value == "" {
				continue
			}
			if err := flags.Set(flag.Name, value); err != nil {
				failed = fmt.Errorf("environment variable %s: %w", name, err)
			}
			return
		}
	})
	return failed
}

// withoutVariables returns an environment in which no variable stands in for a flag.
func withoutVariables(environ []string) []string {
	return slices.DeleteFunc(environ, func(pair string) bool {
		return strings.HasPrefix(pair, ourVariables) || strings.HasPrefix(pair, theirVariables)
	})
}
