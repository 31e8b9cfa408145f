package discovery

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
)

// offline returns a view that follows nothing.
func offline(t testing.TB, service, path string) *View {
	t.Helper()
	keys, err := keyspace.New("p")
	if err != nil {
		t.Fatal(err)
	}
	h := hub.New(hub.Config{Keys: keys, Log: slog.New(slog.DiscardHandler), TTL: 10 * time.Second})
	v := &View{service: service, hub: h, opts: options{lastGood: &path}, wake: make(chan struct{}, 1), changed: make(chan struct{}), book: newBook(h.TTL)}
	if v.source, err = newSource(h, service, nil); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestLastGoodFile is written and read again, and nothing but such a file of that service is touched.
func TestLastGoodFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "last")
	v := offline(t, "api", path)
	for i := range 4 {
		v.book.put(of(i, int64(i+1)))
	}
	for i := range 3 {
		v.book.vanish(of(i, 0).ID, time.Now())
	}
	v.judgeLocked(time.Now())
	v.book.revision = 9
	if err := v.write(); err != nil {
		t.Fatal(err)
	}
	again := offline(t, "api", path)
	if err := again.load(); err != nil || again.file == nil {
		t.Fatalf("load = %v", err)
	}
	again.boot(ErrClosed)
	s := again.Snapshot()
	if names(s.Instances) != "00 01 02 03" || len(s.Probation) != 3 || s.Revision != 9 || time.Since(s.StaleSince) > time.Minute || again.Stale() == 0 {
		t.Errorf("from the file: %+v", s)
	}
	if before := again.sum; again.write() != nil || again.sum != before {
		t.Error("a list that was not known to be true since was written again")
	}
	for name, text := range map[string]string{"a shell script": "#!/bin/sh", "other JSON": `{"format":1}`, "a config": `{"format":1,"name":"api","values":{}}`} {
		foreign := filepath.Join(t.TempDir(), "foreign")
		if err := os.WriteFile(foreign, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		v := offline(t, "api", foreign)
		if err := v.load(); err == nil {
			t.Errorf("%s is taken for a last good file", name)
		}
		if err := v.write(); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	other := offline(t, "web", path)
	if err := other.load(); err == nil || !strings.Contains(err.Error(), `"api"`) {
		t.Errorf("the file of another service: %v", err)
	}
	if err := other.write(); err == nil {
		t.Error("the file of another service was replaced")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), "a:1", "b:1", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := offline(t, "api", path)
	if err := damaged.load(); err != nil || damaged.file != nil {
		t.Errorf("a damaged file: %v, %v", damaged.file, err)
	}
	if err := damaged.write(); err != nil {
		t.Errorf("a damaged file is not replaced: %v", err)
	}
}
