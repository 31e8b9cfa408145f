package main

import (
	"flag"
	"fmt"
	"os"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// asCommand makes the test binary the command itself: so the tests run it as real processes, built as the tests are.
const asCommand = "TEST_BINARY_IS_ETCDKIT"

// shared is the etcd of all tests that do not need one of their own, and a client of it.
var shared struct {
	endpoint string
	client   *clientv3.Client
}

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Exit(serveTest(os.Stdin, os.Stdout))
	}
	if os.Getenv(asCommand) != "" {
		main()
	}
	flag.Parse()
	status, err := withShared(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func withShared(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "etcdkit-test-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := startServer(dir, false, fast)
	if err != nil {
		return 0, err
	}
	defer s.close()
	shared.endpoint = s.endpoint()
	shared.client, err = clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		return 0, err
	}
	defer func() { _ = shared.client.Close() }()
	return run(), nil
}

// fast makes an etcd that starts at once and keeps nothing.
func fast(cfg *embed.Config) {
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4
}

// ownEtcd is an etcd for one test, and a client of it.
func ownEtcd(t *testing.T, tune func(*embed.Config)) (*server, *clientv3.Client) {
	t.Helper()
	s, err := startServer(t.TempDir(), false, func(cfg *embed.Config) {
		fast(cfg)
		if tune != nil {
			tune(cfg)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return s, client
}
