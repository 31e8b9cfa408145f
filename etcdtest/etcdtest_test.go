package etcdtest_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"etcdkit/etcdtest"
)

func TestServersAreEmptyAndApart(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			client := etcdtest.New(t)
			resp, err := client.Get(t.Context(), "", clientv3.WithPrefix())
			if err != nil || resp.Count != 0 {
				t.Fatalf("a new server has %v, %v", resp, err)
			}
			if _, err := client.Put(t.Context(), "key", "value"); err != nil {
				t.Fatal(err)
			}
			resp, err = client.Get(t.Context(), "", clientv3.WithPrefix())
			if err != nil || resp.Count != 1 || resp.Header.Revision != 2 {
				t.Errorf("after one put it has %v, %v", resp, err)
			}
		})
	}
}

func TestSecondClient(t *testing.T) {
	t.Parallel()
	first := etcdtest.New(t)
	second, err := clientv3.New(clientv3.Config{Endpoints: first.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := first.Put(t.Context(), "key", "from the first"); err != nil {
		t.Fatal(err)
	}
	resp, err := second.Get(t.Context(), "key")
	if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "from the first" {
		t.Errorf("the second client reads %v, %v", resp, err)
	}
}

func TestShortLease(t *testing.T) {
	t.Parallel()
	client := etcdtest.New(t)
	lease, err := client.Grant(t.Context(), 1)
	if err != nil || lease.TTL != 1 {
		t.Fatalf("a lease of 1 s is granted as %v, %v", lease, err)
	}
	put, err := client.Put(t.Context(), "key", "", clientv3.WithLease(lease.ID))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for answer := range client.Watch(ctx, "key", clientv3.WithRev(put.Header.Revision+1)) {
		if len(answer.Events) > 0 {
			return // expired
		}
	}
	t.Error("the key outlived its lease")
}

// It is not parallel, so that no other server's goroutines are counted.
func TestGoneWithTheTest(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	var address, dir string
	t.Run("inner", func(t *testing.T) {
		client := etcdtest.New(t)
		<-client.Watch(t.Context(), "key", clientv3.WithCreatedNotify()) // an open stream must not hold up the end
		address, dir = strings.TrimPrefix(client.Endpoints()[0], "http://"), filepath.Dir(t.TempDir())
	})
	if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		conn.Close()
		t.Errorf("%s still answers", address)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data is still there: %v", err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 { // what is closing is not gone at once
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		<-tick.C
	}
	t.Errorf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
}

// TestAbortedTestLeavesNothing runs this test binary again, with a test in it that is aborted, and looks at what it leaves.
func TestAbortedTestLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"fatal", "panic", "goexit"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAborted$", "-test.v")
			child.Env = append(os.Environ(), "TMPDIR="+tmp, "ETCDTEST_ABORT="+how)
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "served, then aborted") {
				t.Fatalf("the child ended with %v:\n%s", err, out)
			}
			left, err := os.ReadDir(tmp)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestAborted is the child of TestAbortedTestLeavesNothing.
func TestAborted(t *testing.T) {
	how := os.Getenv("ETCDTEST_ABORT")
	if how == "" {
		t.Skip("only as a child of TestAbortedTestLeavesNothing")
	}
	client := etcdtest.New(t)
	if _, err := client.Put(t.Context(), "key", ""); err != nil {
		t.Fatal(err)
	}
	fmt.Println("served, then aborted")
	switch how {
	case "panic":
		panic("aborted")
	case "goexit":
		runtime.Goexit()
	default:
		t.Fatal("aborted")
	}
}

// misplaced is a TB whose directory cannot be used. It keeps what it is failed with.
type misplaced struct {
	testing.TB
	dir, said string
}

func (m *misplaced) TempDir() string { return m.dir }

func (m *misplaced) Fatalf(format string, args ...any) {
	m.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestFailureSaysWhy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tb, done := &misplaced{TB: t, dir: file}, make(chan struct{})
	go func() {
		defer close(done)
		etcdtest.New(tb)
	}()
	<-done
	if !strings.HasPrefix(tb.said, "etcdtest: starting etcd: ") || !strings.Contains(tb.said, file) {
		t.Errorf("it fails with %q", tb.said)
	}
}

// scope is a TB that ends before its test does.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// BenchmarkNew measures from nothing to the first write acknowledged.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		s := &scope{TB: b}
		if _, err := etcdtest.New(s).Put(b.Context(), "key", ""); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.end()
		b.StartTimer()
	}
}
