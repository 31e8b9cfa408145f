package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A result is what became of one mutant.
type result struct {
	mutant
	finding
}

// A killer is a test that mutants name.
type killer struct{ pkg, test string }

// all tries the mutants, as many at a time as there are processors, once their killers are known to pass. It returns what it has when
// ctx ends.
func (b *bench) all(ctx context.Context, mutants []mutant) ([]result, error) {
	usual, err := b.controls(ctx, mutants)
	if err != nil {
		return nil, err
	}
	results := make([]result, len(mutants))
	told := counter{out: b.log, of: len(mutants)}
	each(len(mutants), func(i int) {
		m := mutants[i]
		if ctx.Err() != nil {
			return
		}
		f := b.try(ctx, m, b.limit(m, usual[killer{m.pkg, m.test}]))
		if ctx.Err() != nil {
			return // the build or the test was interrupted: that is no verdict
		}
		results[i] = result{m, f}
		told.tell(results[i].String())
	})
	return slices.DeleteFunc(results, func(r result) bool { return r.verdict == "" }), nil
}

// limit is how long the test of a mutant may take. One that is to hang is given a multiple of what the test takes without it.
func (b *bench) limit(m mutant, usual time.Duration) time.Duration {
	if m.hangs {
		return b.patience + 4*usual
	}
	return 90 * time.Second // tests give up after 30 s
}

// try makes one mutant and runs its killer.
func (b *bench) try(ctx context.Context, m mutant, limit time.Duration) finding {
	dir, err := os.MkdirTemp(b.dir, "mutant-")
	if err != nil {
		return finding{verdict: void, words: err.Error()}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	list, err := b.overlay(m, dir)
	switch {
	case errors.Is(err, errMoved):
		return finding{verdict: moved, words: err.Error()}
	case err != nil:
		return finding{verdict: void, words: err.Error()}
	}
	binary := filepath.Join(dir, "test")
	if err := b.build(ctx, m.pkg, list, binary); err != nil {
		return finding{verdict: broken, words: copied.ReplaceAllString(err.Error(), m.file)}
	}
	f := b.run(ctx, binary, m.pkg, m.test, limit)
	if f.verdict == hung && m.hangs {
		f.verdict = killed
	}
	return f
}

// controls runs each killer without a mutant, and returns how long it takes.
func (b *bench) controls(ctx context.Context, mutants []mutant) (map[killer]time.Duration, error) {
	usual, binaries := make(map[killer]time.Duration), make(map[string]string)
	var killers []killer
	for _, m := range mutants {
		k := killer{m.pkg, m.test}
		if _, known := usual[k]; !known {
			usual[k] = 0
			killers = append(killers, k)
		}
		if binaries[m.pkg] != "" {
			continue
		}
		binaries[m.pkg] = filepath.Join(b.dir, strings.ReplaceAll(m.pkg, "/", "-")+".test")
		if err := b.build(ctx, m.pkg, "", binaries[m.pkg]); err != nil {
			return nil, fmt.Errorf("without any mutant, %s: %w", m.pkg, err)
		}
	}
	told := counter{out: b.log, of: len(killers)}
	var mu sync.Mutex // protects bad and usual
	var bad []error
	each(len(killers), func(i int) {
		k := killers[i]
		f := b.run(ctx, binaries[k.pkg], k.pkg, k.test, 2*time.Minute)
		mu.Lock()
		defer mu.Unlock()
		usual[k] = f.took
		if f.verdict != survived {
			bad = append(bad, fmt.Errorf("without any mutant, %s %s: %s %s", k.pkg, k.test, f.verdict, f.words))
		}
		told.tell(fmt.Sprintf("passes without a mutant after %.1f s: %s", f.took.Seconds(), k.test))
	})
	return usual, errors.Join(append(bad, ctx.Err())...)
}

// each calls f for all numbers below n, with as many at a time as there are processors.
func each(n int, f func(int)) {
	next := make(chan int)
	var lanes sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		lanes.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	lanes.Wait()
}
