package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// The README's quick start, word for word, in a module of its own outside this checkout: both files and every command, on an etcd of
// the test. The go command does not see that this test reads README.md: it can call an outdated result cached.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	checkout, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sources := blocks(string(readme), "go")
	if len(sources) != 2 {
		t.Fatalf("README.md has %d blocks of Go, want the program and its test", len(sources))
	}
	write("main.go", sources[0])
	write("main_test.go", sources[1])
	// The sums that are known here spare a question to the checksum database for each module.
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", string(sums))

	script := commands(t, string(readme), checkout)
	q := quickStart{t: t, dir: dir, env: append(os.Environ(), "GOWORK=off", "ETCDKIT_ENDPOINTS="+cluster.SharedEndpoints()[0])}
	if out, err := q.command("sh", "-euc", script).CombinedOutput(); err != nil {
		t.Fatalf("the README's commands: %v\n%s", err, out)
	}
	if out, err := q.command("go", "build", "-o", "app", ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	q.twoTerminals()
}

// quickStart is a newcomer's directory.
type quickStart struct {
	t   *testing.T
	dir string
	env []string
}

func (q quickStart) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(q.t.Context(), name, args...)
	cmd.Dir, cmd.Env = q.dir, q.env
	return cmd
}

// twoTerminals runs the program twice, as the README says: the second one waits, and goes on at once when the first is stopped.
func (q quickStart) twoTerminals() {
	holder := q.start()
	first := q.holds(holder)
	waiter := q.start()
	q.inLine(2)
	if len(waiter.lines) != 0 {
		q.t.Fatalf("the second program says %q beside the first", <-waiter.lines)
	}
	stopped := time.Now()
	holder.stop()
	second := q.holds(waiter)
	took := time.Since(stopped)
	q.t.Logf("the second program held the lock %v after the first was told to stop", took)
	if took > 5*time.Second || second <= first {
		q.t.Errorf("token %d after token %d, %v later: want a higher one, long before the TTL of 10 s", second, first, took)
	}
	waiter.stop()
	for _, p := range []*program{holder, waiter} {
		if line := q.next(p); !strings.HasPrefix(line, "I stop: ") {
			q.t.Errorf("the program says %q, want that it stops", line)
		}
		if err := p.cmd.Wait(); err != nil {
			q.t.Errorf("after SIGTERM: %v", err)
		}
	}
}

// inLine waits until so many processes hold or wait.
func (q quickStart) inLine(n int) {
	q.t.Helper()
	s := open(q.t, cluster.Shared(q.t), "etcdkit") // the prefix that the README uses, and no other test
	for ctx := soon(q.t); ; {
		owners, err := lock.Owners(ctx, s, "reports/nightly")
		if err != nil {
			q.t.Fatal(err)
		}
		if len(owners) == n {
			return
		}
	}
}

// holds waits until the program says that it holds the lock, and returns its token.
func (q quickStart) holds(p *program) (token session.Token) {
	q.t.Helper()
	line := q.next(p)
	if _, err := fmt.Sscanf(line, "I hold the lock, my token is %d", &token); err != nil {
		q.t.Fatalf("the program says %q, want its token", line)
	}
	return token
}

// program is a running process, and what it prints.
type program struct {
	cmd   *exec.Cmd
	lines chan string
}

func (q quickStart) start() *program {
	q.t.Helper()
	p := &program{cmd: q.command("./app"), lines: make(chan string, 16)}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		q.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		q.t.Fatal(err)
	}
	go p.read(out) // until the process ends, which the test's context sees to
	return p
}

func (p *program) read(out io.Reader) {
	defer close(p.lines)
	for s := bufio.NewScanner(out); s.Scan(); {
		p.lines <- s.Text()
	}
}

func (p *program) stop() { _ = p.cmd.Process.Signal(syscall.SIGTERM) } // its lines tell whether that arrived

// next returns what the program prints next, "" if it ended.
func (q quickStart) next(p *program) string {
	q.t.Helper()
	select {
	case line := <-p.lines:
		return line
	case <-soon(q.t).Done():
		q.t.Fatal("the program says nothing")
		return ""
	}
}

// commands returns the README's commands up to "go run", which would not end by itself, with the path of this checkout.
func commands(t *testing.T, readme, checkout string) string {
	t.Helper()
	for _, block := range blocks(readme, "sh") {
		before, _, found := strings.Cut(block, "go run .\n")
		if !found || !strings.Contains(block, "go mod init") {
			continue
		}
		script, ok := strings.CutPrefix(before, "ETCDKIT=$HOME/etcdkit")
		if !ok {
			t.Fatalf("the README's commands do not begin with the place of the checkout:\n%s", block)
		}
		return "ETCDKIT='" + checkout + "'" + script
	}
	t.Fatal("README.md has no commands that make a module")
	return ""
}

// blocks returns the fenced blocks of a language in a Markdown text.
func blocks(text, language string) (found []string) {
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}
