package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"etcdkit/integration/cluster"
	"etcdkit/internal/stream"
)

// countStreams is an option of a client that counts the gRPC streams it opens for watches.
func countStreams(n *atomic.Int64) func(*clientv3.Config) {
	count := func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if strings.HasSuffix(method, "/Watch") {
			n.Add(1)
		}
		return open(ctx, desc, conn, method, opts...)
	}
	return func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(count))
	}
}

// event receives the next event of a watch.
func event(t *testing.T, w *stream.Watch) *clientv3.Event {
	t.Helper()
	ctx := soon(t)
	for {
		select {
		case resp, ok := <-w.Responses:
			if !ok || resp.Err() != nil {
				t.Fatalf("the watch ended: %v", resp.Err())
			}
			if len(resp.Events) > 0 {
				return resp.Events[0]
			}
		case <-ctx.Done():
			t.Fatal("no event")
		}
	}
}

// TestStreamIsShared: watches of one Stream cost one gRPC stream, apart from the user's.
func TestStreamIsShared(t *testing.T) {
	t.Parallel()
	var streams atomic.Int64
	client, prefix := cluster.Shared(t, countStreams(&streams)), cluster.Prefix(t)+"/"
	client.Watch(soon(t), prefix)
	lines := stream.New("line")
	var watches []*stream.Watch
	for i := range 50 {
		w, err := lines.Watch(soon(t), client, fmt.Sprint(prefix, i))
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, w)
	}
	for i, w := range watches {
		mustPut(t, client, fmt.Sprint(prefix, i), "1")
		if ev := event(t, w); string(ev.Kv.Key) != fmt.Sprint(prefix, i) || ev.Kv.ModRevision <= w.Revision {
			t.Errorf("watch %d, created at %d, got %v", i, w.Revision, ev)
		}
	}
	if n := streams.Load(); n != 2 {
		t.Errorf("%d gRPC streams, want the user's and one more", n)
	}
}

func TestStreamInNamespace(t *testing.T) {
	t.Parallel()
	client := inNamespace(cluster.Shared(t), cluster.Prefix(t)+"/")
	w, err := stream.New("line").Watch(soon(t), client, "a")
	if err != nil || w.Revision == 0 {
		t.Fatalf("Watch = %+v, %v", w, err)
	}
	mustPut(t, client, "a", "1")
	if ev := event(t, w); string(ev.Kv.Key) != "a" || ev.Kv.ModRevision <= w.Revision {
		t.Errorf("got %v", ev)
	}
}

// TestStreamOpensWithinItsContext: and what could not be opened during an outage costs nothing after it.
func TestStreamOpensWithinItsContext(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	var streams atomic.Int64
	client := c.Client(t, countStreams(&streams))
	mustPut(t, client, "a", "1")
	c.Cut()
	lines := stream.New("line")
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		begun := time.Now()
		if _, err := lines.Watch(ctx, client, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch = %v", err)
		}
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("Watch took %v, with 20ms to do it in", took)
		}
		cancel()
	}
	c.Heal()
	w, err := lines.Watch(soon(t), client, "a")
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, client, "a", "2")
	event(t, w)
	if n := streams.Load(); n > 5 { // a stream is opened again while connections come and go
		t.Errorf("%d gRPC streams for 20 watches that were given up and one that was not", n)
	}
}

// TestStreamOutlivesItsToken: a stream keeps the token that it began with, so a new watch on it is refused once that has expired,
// and the next one finds a new stream. What was there stays.
func TestStreamOutlivesItsToken(t *testing.T) {
	t.Parallel()
	_, root, user := guarded(t, func(cfg *embed.Config) { cfg.AuthTokenTTL = 1 })
	lines := stream.New("line")
	before, err := lines.Watch(soon(t), user, "mine/a")
	if err != nil {
		t.Fatal(err)
	}
	expire(t, user)
	if _, err := lines.Watch(soon(t), user, "mine/b"); err == nil || !strings.Contains(err.Error(), "invalid auth token") {
		t.Fatalf("Watch on the old stream = %v: nothing was tested", err)
	}
	after, err := lines.Watch(soon(t), user, "mine/b")
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, root, "mine/a", "1")
	mustPut(t, root, "mine/b", "1")
	event(t, before)
	event(t, after)
}

func TestStreamTellsOfRefusalAndCompaction(t *testing.T) {
	t.Parallel()
	_, root, user := guarded(t)
	lines := stream.New("line")
	if _, err := lines.Watch(soon(t), user, "theirs"); err == nil || !strings.Contains(err.Error(), "permission denied") || !strings.Contains(err.Error(), `"theirs"`) {
		t.Errorf("Watch without the right to = %v", err)
	}
	mustPut(t, root, "mine/a", "1")
	mustPut(t, root, "mine/a", "2")
	resp, err := root.Get(soon(t), "mine/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Compact(soon(t), resp.Header.Revision); err != nil {
		t.Fatal(err)
	}
	w, err := lines.Watch(soon(t), user, "mine/a", clientv3.WithRev(2))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case resp := <-w.Responses:
		if !errors.Is(resp.Err(), rpctypes.ErrCompacted) {
			t.Errorf("a watch from a compacted revision got %v", resp.Err())
		}
	case <-time.After(patience):
		t.Error("a watch from a compacted revision got nothing")
	}
}

// TestStreamLeavesNothingBehind is not parallel: it looks at all goroutines.
func TestStreamLeavesNothingBehind(t *testing.T) {
	c := cluster.New(t, 1)
	client := c.Client(t)
	mustPut(t, client, "a", "1")
	before := len(watching())
	for range 10 {
		lines := stream.New("line")
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := lines.Watch(ctx, client, "a"); err != nil {
			t.Fatal(err)
		}
		c.Cut() // what ends now, or cannot even begin, the client never closes by itself
		brief, end := context.WithTimeout(ctx, time.Millisecond)
		if w, err := lines.Watch(brief, client, "b"); err == nil {
			t.Errorf("Watch while cut off = %+v", w)
		}
		end()
		cancel()
		lines.Close()
		c.Heal()
		awaitOnly(t, before)
	}
}
