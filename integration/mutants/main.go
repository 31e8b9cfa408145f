// Command mutants tests the tests: it breaks the kit in one place at a time, and the test that is named for it has to notice.
//
//	go run ./integration/mutants [-run REGEXP] [-list]
//
// A mutant is one small change of one file: see the tables in this folder, a file for each package. What is changed is a copy, which
// takes the place of the file by `go test -overlay`, so the tree is never touched and the kit has no hooks. First each test that is to kill a
// mutant must pass without one, or nothing is proven. A mutant that does not compile is killed by nobody; one that makes its test wait
// for ever is killed by the clock only if the table says so. Ctrl-C ends the run and its children. The exit status is 1 unless every
// mutant was killed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	only := flag.String("run", "", "try the mutants whose names match this regular expression")
	list := flag.Bool("list", false, "list them, and run nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := try(ctx, *only, *list)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// try tries the mutants whose names match.
func try(ctx context.Context, only string, list bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	var chosen []mutant
	for _, m := range mutants() {
		if wanted.MatchString(m.String()) {
			chosen = append(chosen, m)
		}
	}
	switch {
	case len(chosen) == 0:
		return fmt.Errorf("-run %q: no mutant has such a name", only)
	case list:
		return printList(os.Stdout, chosen)
	}
	from := time.Now()
	b, err := newBench()
	if err != nil {
		return err
	}
	defer b.close()
	results, err := b.all(ctx, chosen)
	if err != nil {
		return err
	}
	err = printTable(os.Stdout, results, time.Since(from))
	if ctx.Err() != nil {
		err = errors.Join(err, fmt.Errorf("interrupted: %d were not tried", len(chosen)-len(results)))
	}
	return err
}
