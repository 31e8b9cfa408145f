package httpdisc

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// TestServiceRetires has a service that nobody asks for any more be followed no longer, unless a route holds on to it.
func TestServiceRetires(t *testing.T) {
	t.Parallel()
	client, err := clientv3.New(session.ClientConfig("127.0.0.1:1")) // where nobody is: that suffices
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	s := session.New(client)
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	tr := NewTransport(s)
	tr.services.idle = 10 * time.Millisecond
	pinned, err := tr.services.pin("pinned")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.services.get("asked"); err != nil {
		t.Fatal(err)
	}
	there := func(name string) bool { _, ok := tr.services.byName.Load(name); return ok }
	gone := func(name string) {
		t.Helper()
		for begun := time.Now(); there(name); time.Sleep(time.Millisecond) {
			if time.Since(begun) > patienceOfTests {
				t.Fatalf("%s is followed still", name)
			}
		}
	}
	gone("asked")
	if !there("pinned") {
		t.Error("what a route leads to is not followed any more")
	}
	tr.services.unpin(pinned)
	gone("pinned")
	if err := tr.Close(); err != nil { // waits for all that ran
		t.Error(err)
	}
	if _, err := tr.RoundTrip(request(t, http.MethodGet, "http://asked/", nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestFileOf(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, service := range []string{"a", "a/b", "a%2Fb", "..", strings.Repeat("x", 300), strings.Repeat("x", 301), "long-a", "name-a", "é", "routes"} {
		file := fileOf(service)
		if other, ok := seen[file]; ok || strings.ContainsAny(file, `/\`) || len(file) > 255 || file == routesFile {
			t.Errorf("%q has the file %q, which %q has", service, file, other)
		}
		seen[file] = service
	}
}
