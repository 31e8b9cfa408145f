// Command compare measures the kit beside etcd's own packages and beside raw etcd, in one run.
//
//	go run ./integration/compare [-run REGEXP] [-json FILE] [-members 1|3] [-time 2s]
//
// Each row is measured on an etcd of its own: separate processes with fsync and etcd's default ticks. The contenders take turns, slice by
// slice, since the machine is never the same for long; a figure is the median over the slices. A ratio says how many times
// better ours is, also where lower is better. Only the figures of one run can be compared.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"etcdkit/integration/process"
)

func main() {
	leadIfAsked()
	run := flag.String("run", "", "measure the rows whose names match this regular expression")
	jsonFile := flag.String("json", "", "write one JSON object a row to this file")
	members := flag.Int("members", 1, "members of each etcd cluster: 1 or 3")
	slice := flag.Duration("time", 2*time.Second, "how long one slice takes")
	flag.Parse()
	err := compare(*run, *jsonFile, *members, *slice)
	process.Clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare(run, jsonFile string, members int, slice time.Duration) error {
	if members != 1 && members != 3 {
		return fmt.Errorf("-members %d: 1 or 3", members)
	}
	if slice <= 0 {
		return fmt.Errorf("-time %v: must be more than zero", slice)
	}
	wanted, err := regexp.Compile(run)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	out, err := newReport(jsonFile)
	if err != nil {
		return err
	}
	n := 0
	for _, r := range rows() {
		if !wanted.MatchString(r.name) {
			continue
		}
		n++
		result, err := measure(r, members, slice, out.progress)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if err := out.add(result); err != nil {
			return err
		}
	}
	if n == 0 {
		return fmt.Errorf("-run %q: no row has such a name", run)
	}
	return out.close()
}
