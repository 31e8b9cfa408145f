package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"etcdkit/integration/cluster"
)

// compiling is how long the go command may take: from an empty cache it has the whole root module to compile.
const compiling = 5 * time.Minute

// root runs the go command in the root module, on the shared cluster.
func root(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), compiling)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOWORK=off", "ETCDKIT_ENDPOINTS="+cluster.SharedEndpoints()[0])
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// The Example functions of the root module are skipped there, where there is no etcd, and run here.
func TestExampleFunctions(t *testing.T) {
	t.Parallel()
	out := root(t, "test", "-timeout="+patience.String(), "-count=1", "-v", "-run", "^Example", "./...")
	passed := regexp.MustCompile(`(?m)^--- PASS: Example`).FindAllString(out, -1)
	if len(passed) < 5 {
		t.Errorf("only %d examples ran:\n%s", len(passed), out)
	}
}

func TestExamplePrograms(t *testing.T) {
	t.Parallel()
	if out := root(t, "run", "./examples/lock"); !bytes.Contains([]byte(out), []byte("working with token")) {
		t.Errorf("examples/lock says %q", out)
	}
}
