// Command soak runs crews of workers for a long time, while faults of all kinds happen to etcd and to them at random, and judges what happened.
//
//	go run ./integration/soak [-time 60m] [-seed N] [-workers 6] [-fault REGEXP]
//	go run ./integration/soak -recheck FILE.json
//
// The etcd is three processes, with a proxy before each. Every round (some seconds) one fault is drawn, happens, ends, and all have to go on;
// then the history of the round is judged like those of the tests. Every fault comes once before any comes again. The seed is printed;
// with the same seed the same faults come in the same order. A bad history is kept as a file, and as porcupine's picture. -recheck judges
// such a file again. Ctrl-C ends the run with its summary. The exit status is 1 if anything was violated.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"etcdkit/integration/history"
	"etcdkit/integration/process"
	"etcdkit/integration/worker"
)

func main() {
	worker.Main()
	var s soak
	flag.DurationVar(&s.length, "time", time.Hour, "how long to run")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "what the faults are drawn with")
	flag.IntVar(&s.workers, "workers", 6, "clients of the lock")
	fault := flag.String("fault", "", "only faults whose name matches")
	again := flag.String("recheck", "", "judge a history that was kept")
	flag.Parse()

	var err error
	if *again != "" {
		err = recheck(*again)
	} else if s.only, err = regexp.Compile(*fault); err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err = s.run(ctx)
		stop()
		process.Clean()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// recheck judges a history again, after a check was changed for example.
func recheck(file string) error {
	h, err := history.Read(file)
	if err != nil {
		return err
	}
	v, err := h.Judge(strings.TrimSuffix(file, ".json"))
	for _, bad := range v.Found {
		err = errors.Join(err, errors.New(bad.String()))
	}
	var tried []string
	for _, id := range ids() {
		tried = append(tried, fmt.Sprintf("%s %d", id, v.Tried[id]))
	}
	fmt.Println("tried:", strings.Join(tried, ", "))
	return err
}
