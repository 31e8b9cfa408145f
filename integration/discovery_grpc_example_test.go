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

// TestExampleGRPC has the example's client find its servers, and follow one that leaves.
func TestExampleGRPC(t *testing.T) {
	t.Parallel()
	cluster.Shared(t)
	program := filepath.Join(t.TempDir(), "demo")
	root(t, "build", "-o", program, "./examples/discovery/grpc")
	start := func(args ...string) (says func(words ...string) string, end func()) {
		t.Helper()
		cmd := exec.CommandContext(soon(t), program, args...)
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
		says = func(words ...string) string {
			t.Helper()
		line:
			for lines.Scan() {
				for _, word := range words {
					if !strings.Contains(lines.Text(), word) {
						continue line
					}
				}
				return lines.Text()
			}
			t.Fatalf("%v never said %q", args, words)
			return ""
		}
		end = func() {
			t.Helper()
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() { // so that it can say what it has to
			}
			if err := <-ended; err != nil {
				t.Errorf("%v ended with %v", args, err)
			}
		}
		return says, end
	}
	saysA, endA := start("-serve", "127.0.0.1:0")
	saysB, endB := start("-serve", "127.0.0.1:0")
	a, b := addressIn(saysA("msg=serving")), addressIn(saysB("msg=serving"))
	asks, endClient := start("-every", "10ms", "-lists", filepath.Join(t.TempDir(), "lists"))
	asks("msg=answer", "from="+a, "SERVING")
	asks("msg=answer", "from="+b, "SERVING")
	endA()
	asks("msg=answer", "from="+b)
	endB()
	asks("no answer", "demo/health")
	endClient()
}

// addressIn returns what a line of a log has as the address.
func addressIn(line string) string {
	_, rest, _ := strings.Cut(line, "address=")
	address, _, _ := strings.Cut(rest, " ")
	return address
}
