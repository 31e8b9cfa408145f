package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"etcdkit/integration/process"
)

// A bench is where mutants are made and tried.
type bench struct {
	root     string        // of the repository
	dir      string        // for everything that is written
	log      io.Writer     // of how far it is
	patience time.Duration // with a test that is to hang, beyond what it takes anyway
}

// newBench returns a bench for the repository around the current folder. Nothing is left of it after close.
func newBench() (*bench, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	return &bench{root: root, dir: dir, log: os.Stderr, patience: 6 * time.Second}, err
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// repository is the folder of the workspace in or above the current folder.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("this is no folder of the repository: there is no go.work in it or above it")
		}
		dir = above
	}
}

// changed is the name of the mutant's file, and copied finds that, wherever it stands, in what the compiler says.
const changed = "changed.go"

var copied = regexp.MustCompile(`\S*` + regexp.QuoteMeta(changed))

// overlay writes the mutant's file, and the one that tells the go command to take it.
func (b *bench) overlay(m mutant, dir string) (string, error) {
	text, err := m.changed(b.root)
	if err != nil {
		return "", err
	}
	file, list := filepath.Join(dir, changed), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(b.root, filepath.FromSlash(m.file)): file}})
	if err != nil {
		return "", err
	}
	return list, errors.Join(os.WriteFile(file, text, 0o600), os.WriteFile(list, replace, 0o600))
}

// build builds the test binary of a package, without symbols: most of the time here is the linker's. overlay may be empty.
func (b *bench) build(ctx context.Context, pkg, overlay, binary string) error {
	cmd := b.command(ctx, pkg, "go", "test", "-c", "-overlay="+overlay, "-ldflags=-s -w", "-o", binary, ".")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s(%w)", out, err) // the compiler's words first
	}
	return nil
}

// run runs one test of a binary and judges it.
func (b *bench) run(ctx context.Context, binary, pkg, test string, limit time.Duration) finding {
	pattern := "^" + strings.ReplaceAll(test, "/", "$/^") + "$"
	cmd := b.command(ctx, pkg, binary, "-test.v", "-test.run", pattern, "-test.timeout", limit.String())
	from := time.Now()
	out, err := cmd.CombinedOutput()
	f := judge(test, string(out), err)
	f.took = time.Since(from)
	return f
}

// command prepares a child that ends with ctx, together with its own children, and with us, and leaves its files where they are removed.
func (b *bench) command(ctx context.Context, pkg, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(b.root, filepath.FromSlash(pkg))
	cmd.Env = append(os.Environ(), "TMPDIR="+b.dir)
	cmd.SysProcAttr = process.Apart()
	cmd.Cancel = func() error {
		if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil {
			return nil
		}
		return cmd.Process.Kill() // it has no group of its own everywhere
	}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
