package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/session"
)

// ownPrefix is a prefix that is the test's alone, and empty after it.
func ownPrefix(t *testing.T) string {
	t.Helper()
	t.Cleanup(func() {
		if _, err := shared.client.Delete(context.Background(), t.Name()+"/", clientv3.WithPrefix()); err != nil {
			t.Error(err)
		}
	})
	return t.Name()
}

// configIn returns command lines of etcdkit config under a prefix.
func configIn(prefix string) func(args ...string) []string {
	return func(args ...string) []string { return append([]string{"config", "--prefix", prefix}, args...) }
}

// storeIn is what another program writes a value with.
func storeIn(prefix, name string) *config.Store {
	return config.NewStore(session.New(shared.client, session.WithPrefix(prefix)), name)
}

// stands is the value that stands in etcd under a prefix, and its revision.
func stands(t *testing.T, prefix, name string) (string, int64) {
	t.Helper()
	value, rev, err := storeIn(prefix, name).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(value), rev
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
