package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// TestForeignFile: what is no last good file of this very value is an error of Watch, before anything is asked of etcd, and stays as it is.
func TestForeignFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "last")
	other, _ := followerOf(t, "app/db", limit{}, WithLastGood(path))
	if _, err := other.write(&view{revision: 7}); err != nil {
		t.Fatal(err)
	}
	others, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{
		string(others):              `that of "app/db"`,
		"listen = :80\n":            "no last good file",
		`{"format":"yaml"}`:         "no last good file",
		`{"name":"app/api"}`:        "no last good file",
		strings.Repeat("\x00", 100): "no last good file",
	}
	s := session.New(clientv3.NewCtxClient(t.Context()))
	for content, want := range contents {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Watch(t.Context(), s, "app/api", limit{}, WithLastGood(path)); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("Watch: %v, want %q", err, want)
		}
		f, _ := followerOf(t, "app/api", limit{}, WithLastGood(path))
		if _, err := f.write(&view{revision: 8}); !errors.Is(err, errForeign) || !strings.Contains(err.Error(), path) {
			t.Errorf("a save: %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q became %q, %v", content, got, err)
		}
	}
	if _, err := Watch(t.Context(), s, "app/api", limit{}, WithLastGood(filepath.Dir(path))); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
}

// TestDamagedFile: a file that was ours is written anew, whatever became of it.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "last")
	f, _ := followerOf(t, "app/api", limit{}, WithLastGood(path))
	if _, err := f.write(&view{revision: 7, raw: raw(`={"max":3}`)}); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{
		"", string(sound), string(sound[:len(sound)/2]), strings.Replace(string(sound), "7", "8", 1),
		`{"later":1, "key":"etcdkit/config/app/api", "name":"app/api", "format":2}`,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.load(); errors.Is(err, errForeign) {
			t.Errorf("%q: %v", content, err)
		}
		if _, err := f.write(&view{revision: 9}); err != nil {
			t.Errorf("over %q: %v", content, err)
		}
		if good, err := f.load(); err != nil || good.Revision != 9 {
			t.Errorf("%+v, %v", good, err)
		}
	}
}
