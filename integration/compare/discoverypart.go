package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"etcdkit/integration/process"
)

// partVariable makes a process a part of a row, which is to be killed, or whose use of the processor is measured: its kind and its arguments.
const partVariable = "ETCDKIT_COMPARE_PART"

// init makes this process a part if it was started as one, before it becomes anything else.
func init() {
	spec := strings.Fields(os.Getenv(partVariable))
	if len(spec) == 0 {
		return
	}
	if err := play(spec[0], spec[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", spec[0], err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(kind string, args []string) (err error) {
	b := new(bench)
	defer func() {
		switch f := recover().(type) {
		case nil:
		case failure:
			err = f.error
		default:
			panic(f)
		}
		for i := len(b.closer) - 1; i >= 0; i-- {
			b.closer[i]()
		}
	}()
	switch kind {
	case "watcher":
		watcherPart(b, args[0], args[1], args[2])
	case "backend":
		backendPart(b, args[0], args[1], args[2])
	case "gateway":
		gatewayPart(b, args[0], args[1])
	case "proxy":
		proxyPart(b, nil, args)
	case "pooledproxy":
		proxyPart(b, newBuffers(), args)
	case "load":
		loadPart(args[0], args[1] == "posts")
	default:
		return errors.New("there is no such part")
	}
	return nil
}

// answer tells that this part is ready, and answers each line that it is sent, until there are no more.
func answer(ready string, to func(line string) string) {
	fmt.Println(ready)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(to(lines.Text()))
	}
}

// part is such a process, as the one that measures sees it.
type part struct {
	kind  string
	ready string // what it said then
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	wait  func() error
}

// startPart starts this program again as a part, and returns when that is ready.
func startPart(b *bench, kind string, args ...string) *part {
	path, err := os.Executable()
	check(err)
	p := &part{kind: kind, cmd: exec.Command(path)}
	p.cmd.Env = append(os.Environ(), partVariable+"="+strings.Join(append([]string{kind}, args...), " "))
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = process.Apart()
	p.in, err = p.cmd.StdinPipe()
	check(err)
	out, err := p.cmd.StdoutPipe()
	check(err)
	p.out = bufio.NewReader(out)
	check(p.cmd.Start())
	p.wait = sync.OnceValue(p.cmd.Wait)
	b.later(p.kill)
	p.ready = p.line()
	return p
}

func (p *part) line() string {
	line, err := p.out.ReadString('\n')
	if err != nil {
		check(fmt.Errorf("the part %s has ended: %w", p.kind, errors.Join(err, p.wait())))
	}
	return strings.TrimSpace(line)
}

// ask sends a line and returns the answer.
func (p *part) ask(line string) string {
	_, err := fmt.Fprintln(p.in, line)
	check(err)
	return p.line()
}

// stop asks it to end, and returns what it says at last, when it has ended.
func (p *part) stop() string {
	check(p.in.Close())
	last, err := io.ReadAll(p.out)
	check(err)
	check(p.wait())
	return strings.TrimSpace(string(last))
}

// kill ends it with SIGKILL, if it has not ended yet.
func (p *part) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.in.Close()
	_ = p.wait()
}
