package main

import (
	"context"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// forgetful is an etcd that does what it is asked to, and does not answer the transactions that have a text in them.
type forgetful struct {
	pb.UnimplementedKVServer
	etcd     pb.KVClient
	text     string
	endpoint string
	did      chan struct{} // closed when it has done such a one
	once     sync.Once
}

func newForgetful(t *testing.T, text string) *forgetful {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forgetful{etcd: pb.NewKVClient(shared.client.ActiveConnection()), text: text, endpoint: listener.Addr().String(), did: make(chan struct{})}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, f)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until it is stopped
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return f
}

func (f *forgetful) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	return f.etcd.Range(ctx, r)
}

func (f *forgetful) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	text, err := proto.Marshal(r)
	if err != nil || !strings.Contains(string(text), f.text) {
		return f.etcd.Txn(ctx, r)
	}
	if _, err := f.etcd.Txn(context.WithoutCancel(ctx), r); err != nil {
		return nil, err
	}
	f.once.Do(func() { close(f.did) })
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestConfigWriteWithoutAnAnswer: it happened, and nobody says that it did not.
func TestConfigWriteWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		did  string
		tree bool
	}{
		"put":      {[]string{"put", "a", "--value", "2"}, "written", false},
		"del":      {[]string{"del", "a"}, "deleted", false},
		"rollback": {[]string{"rollback", "a", "1"}, "rolled back", false},
		"tree":     {[]string{"put", "--tree", "a", "--value", `{"x":1}`}, "written", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := newForgetful(t, "remember me")
			args := configIn(ownPrefix(t))
			succeed(t, args("put", "a", "--value", "0")...)
			succeed(t, args("put", "a", "--value", "1")...)
			history := "etcdkit config history"
			if c.tree {
				history += " --tree"
			}
			says := "no answer from etcd at " + etcd.endpoint + " within 2s: it may have been " + c.did + ", or may still be: see \"" + history + "\"\n"
			complaint{name, args(append(c.args, "--comment", "remember me")...), statusFailed, []string{says}}.check(t, etcd.endpoint)
			if got := succeed(t, append(args(strings.Fields(history)[2:]...), "a")...); !strings.Contains(got, "remember me") {
				t.Errorf("history: %s", got)
			}
		})
	}
}

// TestConfigPutThatIsInterrupted: a signal takes nothing back that is under way, and what came in a pipe is kept.
func TestConfigPutThatIsInterrupted(t *testing.T) {
	t.Parallel()
	etcd := newForgetful(t, "remember me")
	args := configIn(ownPrefix(t))
	p := launch(t, []string{"TMPDIR=" + t.TempDir()}, args("--endpoints", etcd.endpoint, "--command-timeout", "1m", "put", "a", "-")...)
	p.say(`"remember me"`)
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-etcd.did:
	case <-p.done:
	}
	p.signal(syscall.SIGTERM)
	status, says := p.wait(), p.err.all()
	if status != 128+15 || p.out.all() != "" || !strings.HasSuffix(says, "\netcdkit: interrupted: it may have been written, or may still be: see \"etcdkit config history\"\n") {
		t.Errorf("status %d, %q, %q", status, p.out.all(), says)
	}
	named := regexp.MustCompile(`your text is kept in (\S+\.json)\n`).FindStringSubmatch(says)
	if named == nil {
		t.Fatalf("no text is kept: %q", says)
	}
	if text, err := os.ReadFile(named[1]); err != nil || string(text) != "\"remember me\"\n" {
		t.Errorf("kept: %q, %v", text, err)
	}
}
