package integration

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"etcdkit/integration/cluster"
)

// The example programs lead, and end at once when they are told to.
func TestElectionExamplePrograms(t *testing.T) {
	t.Parallel()
	programs := map[string]struct {
		args []string
		says string
	}{
		"singleton": {nil, "at work with token"},
		"guard":     {nil, "counted to 1 under token"},
		"standby":   {[]string{"zone-a", "10"}, "zone-a leads with token"},
		"probe":     {[]string{"127.0.0.1:0"}, "leading with token"},
	}
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			root(t, "build", "-o", path, "./examples/election/"+name)
			cmd := exec.CommandContext(soon(t), path, p.args...)
			cmd.Env = append(os.Environ(), "ETCDKIT_ENDPOINTS="+cluster.SharedEndpoints()[0])
			out, err := cmd.StdoutPipe()
			must(t, err)
			cmd.Stderr = os.Stderr
			must(t, cmd.Start())
			said := false
			for s := bufio.NewScanner(out); s.Scan(); {
				if !said && strings.Contains(s.Text(), p.says) {
					said = true
					must(t, cmd.Process.Signal(syscall.SIGTERM))
				}
			}
			if err := cmd.Wait(); err != nil || !said {
				t.Errorf("it ended with %v, leading: %v", err, said)
			}
		})
	}
}
