package config

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// followerOf returns a follower that has not been started, and its log.
func followerOf[T any](t *testing.T, name string, def T, opts ...Option) (*follower, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	s := session.New(clientv3.NewCtxClient(t.Context()), session.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	f := newFollower(s.Hub(), name, newOptions(opts), decoderOf(def, opts...))
	f.publish = func(any) {}
	return f, &log
}

func TestLastGood(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "last")
	f, _ := followerOf(t, "app/api", limit{}, WithLastGood(path))
	if _, err := f.load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	begun := time.Now()
	v := &view{revision: 7, raw: raw(`={"max":3}`)}
	written, err := f.write(v)
	if err != nil {
		t.Fatal(err)
	}
	good, err := f.load()
	if err != nil || !good.holds(v) || !written.holds(v) || (*lastGood)(nil).holds(v) {
		t.Fatalf("%+v, %v", good, err)
	}
	got, err := good.view(f.decoder)
	if err != nil || got.value.(*limit).Max != 3 || got.revision != 7 || got.saved.Before(begun.Truncate(time.Millisecond)) {
		t.Errorf("%+v, %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left beside the file: %v, %v", entries, err)
	}

	if _, err := f.write(&view{revision: 8}); err != nil { // there was nothing in etcd, and that is known
		t.Fatal(err)
	}
	good, err = f.load()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := good.view(decoderOf(limit{Max: 5})); err != nil || got.value.(*limit).Max != 5 {
		t.Errorf("nothing became %+v, %v", got, err)
	}
}

func TestLastGoodIsRefused(t *testing.T) {
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
	tests := []struct{ name, content, want string }{
		{"empty", "", "unexpected end"},
		{"cut off", string(sound[:len(sound)/2]), "unexpected end"},
		{"edited", strings.Replace(string(sound), `"revision":7`, `"revision":8`, 1), "checksum"},
		{"of a later format", strings.Replace(string(sound), `"format":1`, `"format":2`, 1), "format 2"},
	}
	for _, test := range tests {
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.load(); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if err := os.WriteFile(path, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string][]Option{"app/db": nil, "app/api": {WithKey("/app")}} {
		other, _ := followerOf(t, name, limit{}, append(opts, WithLastGood(path))...)
		if _, err := other.load(); err == nil || !strings.Contains(err.Error(), `that of "app/api"`) {
			t.Errorf("the file of another value: %v", err)
		}
	}
	if err := f.boot(errors.New("etcd is down")); err != nil || f.newest().value.(*limit).Max != 3 {
		t.Errorf("boot = %v", err)
	}
	strict, _ := followerOf(t, "app/api", struct{ Min int }{}, WithLastGood(path))
	down := errors.New("etcd is down")
	if err := strict.boot(down); !errors.Is(err, down) || !strings.Contains(err.Error(), "unknown field max") {
		t.Errorf("a file that the program cannot read any more: %v", err)
	}
}

// TestSave: the newest is in the file when the following ends, a disk that fails is told once, and what is in it is not written again.
func TestSave(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	f, log := followerOf(t, "app", limit{}, WithLastGood(filepath.Join(dir, "last")))
	written, _ := f.file()
	first := &view{value: new(limit), revision: 1, raw: raw("={}")}
	for range 3 {
		if err := f.bring(&written, first); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("bring = %v", err)
		}
	}
	if n := strings.Count(log.String(), "cannot write its last good file"); n != 1 {
		t.Errorf("told %d times: %s", n, log)
	}
	f.cancel = func(error) {}
	if err := f.close(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `config "app"`) {
		t.Errorf("close = %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.bring(&written, first), f.close()); err != nil {
		t.Error(err)
	}
	before, err := os.Stat(*f.opts.lastGood)
	if err != nil {
		t.Fatal(err)
	}
	refused := *first
	refused.refused = &RefusedError{Revision: 2, Err: errEmpty}
	if err := f.bring(&written, &refused); err != nil {
		t.Error(err)
	}
	after, err := os.Stat(*f.opts.lastGood)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("written again for a refusal: %v", err)
	}
}

var errEmpty = errors.New("it is empty")
