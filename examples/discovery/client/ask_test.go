package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"etcdkit/discovery"
)

// TestAskOne needs no etcd: the list is what the test says.
func TestAskOne(t *testing.T) {
	t.Parallel()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("good")) }))
	t.Cleanup(good.Close)
	bad := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(bad.Close)
	at := func(s *httptest.Server) discovery.Instance {
		return discovery.Instance{Addr: strings.TrimPrefix(s.URL, "http://")}
	}
	turns := discovery.RoundRobin()
	view := discovery.Fixed(at(good), at(bad))
	for range 4 {
		if answer, err := askOne(t.Context(), view, turns); answer != "good" || err != nil {
			t.Errorf("one of two is good: %q, %v", answer, err)
		}
	}
	if _, err := askOne(t.Context(), discovery.Fixed(at(bad)), discovery.RoundRobin()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("of a bad one: %v", err)
	}
	if _, err := askOne(t.Context(), discovery.Fixed(), turns); !errors.Is(err, discovery.ErrNoInstance) {
		t.Errorf("of nobody: %v", err)
	}
}
