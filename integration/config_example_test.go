package integration

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"etcdkit/integration/cluster"
)

// TestExampleConfig has the example server follow two edits, of which it refuses one.
func TestExampleConfig(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	mustDelete(t, client, "examples/config/app/api") // what an earlier run left would be refused at the start
	program := filepath.Join(t.TempDir(), "server")
	root(t, "build", "-o", program, "./examples/config")
	cmd := exec.CommandContext(soon(t), program, "-listen", "127.0.0.1:0", "-last-good", filepath.Join(t.TempDir(), "last"))
	cmd.Env = append(os.Environ(), "ETCDKIT_ENDPOINTS="+cluster.SharedEndpoints()[0])
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		_ = in.Close() // which ends the scanner
	}()

	lines := bufio.NewScanner(out)
	says := func(words ...string) {
		t.Helper()
	line:
		for lines.Scan() {
			for _, word := range words {
				if !strings.Contains(lines.Text(), word) {
					continue line
				}
			}
			return
		}
		t.Fatalf("the server never said %q", words)
	}
	says("msg=serving")
	mustPut(t, client, "examples/config/app/api", `{"timeout":"200ms"}`)
	says("msg=settings", "changed=[timeout]", "refused=<nil>")
	mustPut(t, client, "examples/config/app/api", `{"timeout":"0s"}`)
	says("msg=settings", "must be from 10ms to 1m")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // so that it can say what it has to
	}
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
