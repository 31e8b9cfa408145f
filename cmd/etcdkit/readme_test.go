//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadmeOfLiveConfiguration types what the README shows, in its order and word for word, and compares what is printed. The etcd and the
// server are the test's own, at ports that are free. The go command does not see that README.md is read here: it
// can call an outdated result cached.
func TestReadmeOfLiveConfiguration(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Live configuration\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !strings.Contains(section, "```sh\ngo run ./cmd/etcdkit dev\ngo run ./examples/config\n```") {
		t.Fatal("the README does not say how to start etcd and the server")
	}
	etcd, _ := ownEtcd(t, nil)
	env := append(withoutVariables(os.Environ()), "GOWORK=", "ETCDKIT_ENDPOINTS="+etcd.endpoint(), "VISUAL=", "EDITOR=sed -i s/200ms/0s/")
	startExample(t, root, env)
	status := []string{"--endpoints", etcd.endpoint(), "config", "--prefix", "examples", "status", "app/api"}
	awaitOutput(t, status, "current") // by then all is written that counts for the revisions
	var before strings.Builder        // what later commands need
	typed := 0
	for _, step := range steps(section) {
		if step.want == "" {
			before.WriteString(step.command + "\n")
			continue
		}
		typed++
		want := plainly(strings.Replace(step.want, "edit it again y\n", "edit it again ", 1)) // nobody echoes what is typed
		deadline := time.Now().Add(patience)
		for {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", before.String()+step.command)
			master, slave := openTerminal(t)
			if _, err := master.WriteString("y\n"); err != nil {
				t.Fatal(err)
			}
			cmd.Dir, cmd.Env, cmd.Stdin = root, env, slave
			out, err := cmd.CombinedOutput()
			_ = slave.Close() // nothing was written to it
			got := plainly(string(out))
			if err == nil && got == want {
				break
			}
			// A report can be a second behind: nothing tells when it has come, and asking again changes nothing.
			if !strings.Contains(step.command, "config status") || time.Now().After(deadline) {
				t.Fatalf("%s: %v, printed\n%s\nwant\n%s", step.command, err, got, want)
			}
		}
	}
	if typed != 7 {
		t.Errorf("the README has %d commands that print something", typed)
	}
}

// startExample starts the server of the README.
func startExample(t *testing.T, root string, env []string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "example")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./examples/config")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "-listen", "127.0.0.1:0")
	cmd.Env = env
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, out: newLines(out), err: newLines(strings.NewReader("")), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.done
	})
}

// step is a command that the README shows, and what it prints.
type step struct {
	command, want string
}

// steps returns what is in the consoles of a text.
func steps(text string) []step {
	var all []step
	for _, block := range regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, want, _ := strings.Cut(part, "\n")
			if want != "" {
				want = strings.TrimSuffix(want, "\n") + "\n"
			}
			all = append(all, step{command, want})
		}
	}
	return all
}

var (
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\S+`)
	someone  = regexp.MustCompile(`\S+@\S+`)
	reporter = regexp.MustCompile(`(?m)^\S+ \d+ TIME`)
	blanks   = regexp.MustCompile(` +`)
)

// plainly takes out of an output what is another at each place and time.
func plainly(text string) string {
	text = blanks.ReplaceAllString(moment.ReplaceAllString(text, "TIME"), " ")
	return reporter.ReplaceAllString(someone.ReplaceAllString(text, "WHO"), "HOST PID TIME")
}
