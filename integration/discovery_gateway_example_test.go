package integration

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"etcdkit/integration/cluster"
)

// TestExampleGateway has the example gateway follow its routes and an instance that comes, and end when it is told to.
func TestExampleGateway(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	const key = "examples/config/gateway"
	mustDelete(t, client, key)
	program := filepath.Join(t.TempDir(), "gateway")
	root(t, "build", "-o", program, "./examples/gateway")
	cmd := exec.CommandContext(soon(t), program, "-listen", "127.0.0.1:0")
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
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	says := func(word string) string {
		t.Helper()
		for line := range lines {
			if strings.Contains(line, word) {
				return line
			}
		}
		t.Fatalf("the gateway never said %q", word)
		return ""
	}
	_, addr, _ := strings.Cut(says("msg=serving"), "address=")
	url := "http://" + addr + "/gateway-example"
	mustPut(t, client, key, `{"routes":[{"path_prefix":"/gateway-example","service":"gateway-example","strip_prefix":true}]}`)
	says("msg=routes")
	web := users(t)
	answers(t, web, url, 503, `no instance of service "gateway-example"`)
	startSite(t, open(t, client, "examples"), "gateway-example", "one", named("one"))
	answers(t, web, url, 200, "one")
	says("instance=one")
	web.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range lines { // so that it can say what it has to
	}
	if err := <-ended; err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if _, _, err := fetch(web, http.MethodGet, url, nil); err == nil {
		t.Error("it still answers")
	}
}
