package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should come much sooner.
const patience = 30 * time.Second

// process is an etcdkit that runs.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out, err *lines
	done     chan struct{} // closed when it has ended and all that it wrote was read
}

// launch starts etcdkit with the shared etcd, and kills it at the end of the test. env comes on top of a clean environment.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return launchWith(t, nil, env, args...)
}

// launchWith does the same with a standard input that is not a pipe of its own.
func launchWith(t *testing.T, stdin *os.File, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(withoutVariables(os.Environ()), commandVariables(shared.endpoint)...)
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, whoever runs the tests
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	if stdin != nil {
		cmd.Stdin = stdin
	} else if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errors, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out, p.err = newLines(out), newLines(errors)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.done
	})
	return p
}

// commandVariables make the test binary the command, for that etcd. Where the race detector is on, it would sleep a second at each end.
func commandVariables(endpoint string) []string {
	return []string{asCommand + "=1", "ETCDKIT_ENDPOINTS=" + endpoint, "GORACE=atexit_sleep_ms=0"}
}

func (p *process) follow() {
	defer close(p.done)
	var both sync.WaitGroup
	both.Go(p.out.read)
	both.Go(p.err.read)
	both.Wait()
	_ = p.cmd.Wait() // the state tells
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// say writes a line to its standard input.
func (p *process) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%v is still running; it wrote %q and %q", p.cmd.Args[1:], p.out.all(), p.err.all())
	}
	return p.cmd.ProcessState.ExitCode()
}

// await waits for a line with that text on standard output, and returns it.
func (p *process) await(text string) string { p.t.Helper(); return p.out.await(p, text) }

// awaitNote does the same on standard error.
func (p *process) awaitNote(text string) string { p.t.Helper(); return p.err.await(p, text) }

// etcdkit runs the command to its end and returns what it wrote, and its status.
func etcdkit(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	p := launch(t, nil, args...)
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	status = p.wait()
	return p.out.all(), p.err.all(), status
}

// succeed runs the command to its end and returns what it wrote.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := etcdkit(t, args...)
	if status != 0 {
		t.Fatalf("%v: status %d: %s", args, status, stderr)
	}
	return stdout
}

// lines is what a process writes to one of its outputs.
type lines struct {
	from io.Reader

	mu      sync.Mutex // protects what follows
	got     []string
	seen    int // by await
	ended   bool
	changed chan struct{}
}

func newLines(from io.Reader) *lines { return &lines{from: from, changed: make(chan struct{})} }

func (l *lines) read() {
	scanner := bufio.NewScanner(l.from)
	for scanner.Scan() {
		l.update(func() { l.got = append(l.got, scanner.Text()) })
	}
	l.update(func() { l.ended = true })
}

func (l *lines) update(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.got) == 0 {
		return ""
	}
	return strings.Join(l.got, "\n") + "\n"
}

var errEnded = errors.New("it ended")

// find returns the next line with that text, or a channel that is closed when there is more to look at.
func (l *lines) find(text string) (string, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.seen < len(l.got) {
		line := l.got[l.seen]
		l.seen++
		if strings.Contains(line, text) {
			return line, nil, nil
		}
	}
	if l.ended {
		return "", nil, errEnded
	}
	return "", l.changed, nil
}

func (l *lines) await(p *process, text string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		line, changed, err := l.find(text)
		if err != nil {
			p.t.Fatalf("%v: no line with %q: %v; it wrote %q and %q", p.cmd.Args[1:], text, err, p.out.all(), p.err.all())
		}
		if changed == nil {
			return line
		}
		select {
		case <-changed:
		case <-timeout:
			p.t.Fatalf("%v: no line with %q in time; it wrote %q and %q", p.cmd.Args[1:], text, p.out.all(), p.err.all())
		}
	}
}
