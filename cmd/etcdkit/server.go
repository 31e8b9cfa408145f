package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// server is an etcd with one member in this process.
type server struct {
	etcd *embed.Etcd
	dir  *os.File // holds the lock on the data directory
}

const (
	usualPort    = 2379
	startTimeout = 30 * time.Second // a big data directory on a slow disk
)

// startServer starts an etcd that keeps its data in dir. It listens on this machine only, on etcd's usual port or, where that is
// taken or not wanted, on a free one. tune may change the configuration.
func startServer(dir string, usual bool, tune func(*embed.Config)) (*server, error) {
	if usual && isFree(usualPort) {
		return startServerAt(dir, usualPort, tune)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return startServerAt(dir, port, tune)
}

// startServerAt does so on a port. Another process may take that before etcd does: then another one will do.
func startServerAt(dir string, port int, tune func(*embed.Config)) (*server, error) {
	lock, err := claimDir(dir)
	if err != nil {
		return nil, err
	}
	for range 3 {
		var etcd *embed.Etcd
		if etcd, err = startEtcd(serverConfig(dir, port, tune)); err == nil {
			s := &server{etcd: etcd, dir: lock}
			return s, s.ready()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		if port, err = freePort(); err != nil {
			break
		}
	}
	return nil, errors.Join(fmt.Errorf("etcd in %s: %w", dir, err), lock.Close())
}

// startEtcd makes an error of a panic, with which etcd meets some kinds of damaged data (see lastWords for the others).
func startEtcd(cfg *embed.Config) (etcd *embed.Etcd, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot start with the data there: %v", p)
		}
	}()
	return embed.StartEtcd(cfg)
}

// ready waits until the server answers; one that does not is closed.
func (s *server) ready() error {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-s.etcd.Server.ReadyNotify():
		return nil
	case err := <-s.etcd.Err():
		s.close()
		return err
	case <-timeout.C:
		s.close()
		return fmt.Errorf("etcd in %s: not ready after %v", s.etcd.Config().Dir, startTimeout)
	}
}

func (s *server) endpoint() string { return s.etcd.Clients[0].Addr().String() }

// close stops the server in order: its data is whole.
func (s *server) close() {
	s.etcd.Close()
	_ = s.dir.Close() // only a lock hangs on it, and that goes with the process
}

func serverConfig(dir string, port int, tune func(*embed.Config)) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(lastWords(dir))
	client := url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"} // a single member has no peers
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	if tune != nil {
		tune(cfg)
	}
	return cfg
}

// claimDir makes the data directory and makes sure that it is etcd's, and that no other process serves it: etcd itself would put its files
// beside whatever is there, or wait for that process to end, and say nothing.
func claimDir(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	// Our lock is on the directory, that of an etcd which is not ours on its database.
	if syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || isLocked(filepath.Join(path, "member", "snap", "db")) {
		return nil, errors.Join(fmt.Errorf("data directory %s: another process is using it", path), dir.Close())
	}
	if err := checkDir(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", path, err), dir.Close())
	}
	return dir, nil
}

// checkDir tells whether a directory is empty or etcd's.
func checkDir(dir *os.File) error {
	names, err := dir.Readdirnames(0)
	if err != nil {
		return err
	}
	if len(names) > 0 && !slices.Contains(names, "member") {
		return errors.New("it is not empty, and not an etcd's: it has no member directory")
	}
	return nil
}

func isLocked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	return errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, _ := listener.Addr().(*net.TCPAddr)
	return addr.Port, listener.Close()
}
