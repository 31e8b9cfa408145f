package stream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"etcdkit/internal/stream"
)

// script is a Watcher that plays the server's part: answer gets the n-th watch.
type script struct {
	clientv3.Watcher
	answer  func(n int, ctx context.Context) clientv3.WatchChan
	streams []string // the metadata that tell the streams apart, one for each watch
	asked   string   // the same of the last RequestProgress
}

func (s *script) Watch(ctx context.Context, _ string, opts ...clientv3.OpOption) clientv3.WatchChan {
	if len(opts) == 0 {
		panic("a watch without options cannot notify of its creation")
	}
	s.streams = append(s.streams, streamOf(ctx))
	return s.answer(len(s.streams), ctx)
}

func (s *script) RequestProgress(ctx context.Context) error {
	s.asked = streamOf(ctx)
	return nil
}

func streamOf(ctx context.Context) string {
	md, _ := metadata.FromOutgoingContext(ctx)
	if md.Len() != 2 || len(md.Get(rpctypes.MetadataRequireLeaderKey)) != 1 {
		return "unexpected metadata"
	}
	return strings.Join(md.Get("etcdkit-stream"), ",")
}

func client(answer func(int, context.Context) clientv3.WatchChan) (*clientv3.Client, *script) {
	s := &script{answer: answer}
	c := clientv3.NewCtxClient(context.Background())
	c.Watcher = s
	return c, s
}

func responses(rs ...clientv3.WatchResponse) clientv3.WatchChan {
	c := make(chan clientv3.WatchResponse, len(rs))
	for _, r := range rs {
		c <- r
	}
	close(c)
	return c
}

func created(revision int64) clientv3.WatchResponse {
	return clientv3.WatchResponse{Created: true, Header: &etcdserverpb.ResponseHeader{Revision: revision}}
}

func TestWatchWaitsForCreation(t *testing.T) {
	t.Parallel()
	c, s := client(func(n int, _ context.Context) clientv3.WatchChan {
		return responses(created(7), clientv3.WatchResponse{Header: &etcdserverpb.ResponseHeader{Revision: 8}})
	})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "request-id", "17") // must not open a stream of its own
	lines := stream.New("line")
	w, err := lines.Watch(ctx, c, "a")
	if err != nil || w.Revision != 7 {
		t.Fatalf("Watch = %+v, %v, want revision 7", w, err)
	}
	if next := <-w.Responses; next.Header.Revision != 8 {
		t.Errorf("the first response after creation is of revision %d, want 8", next.Header.Revision)
	}
	if _, err := lines.Watch(t.Context(), c, "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.New("line").Watch(t.Context(), c, "a"); err != nil {
		t.Fatal(err)
	}
	if s.streams[0] != s.streams[1] || s.streams[0] == s.streams[2] {
		t.Errorf("streams %q: want the first two equal, the third another", s.streams)
	}
	if err := w.RequestProgress(ctx); err != nil || s.asked != s.streams[0] {
		t.Errorf("progress was asked of %q, %v; want %q", s.asked, err, s.streams[0])
	}
}

func TestFailedOpenReplacesStream(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		fail func(context.Context) clientv3.WatchChan
		want string
	}{
		{"refused", func(context.Context) clientv3.WatchChan {
			return responses(clientv3.WatchResponse{Canceled: true, CancelReason: "no", Header: &etcdserverpb.ResponseHeader{}})
		}, "no"},
		{"silent", func(context.Context) clientv3.WatchChan { return responses() }, "closed without a word"},
		{"stuck", func(ctx context.Context) clientv3.WatchChan { <-ctx.Done(); return responses() }, "no answer within 5s"},
		{"stuck after its channel was made", func(context.Context) clientv3.WatchChan {
			return make(chan clientv3.WatchResponse)
		}, "no answer within 5s"},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			c, s := client(func(n int, ctx context.Context) clientv3.WatchChan {
				if n <= 2 {
					return test.fail(ctx)
				}
				return responses(created(1))
			})
			one := stream.New("one")
			for range 2 {
				if _, err := one.Watch(t.Context(), c, "a"); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `"a"`) {
					t.Errorf("%s: Watch = %v, want an error that names the key and says %q", test.name, err, test.want)
				}
			}
			if _, err := one.Watch(t.Context(), c, "a"); err != nil {
				t.Errorf("%s: Watch on the third stream = %v", test.name, err)
			}
			if s.streams[0] == s.streams[1] || s.streams[1] == s.streams[2] {
				t.Errorf("%s: streams %q, want a new one for each try", test.name, s.streams)
			}
		})
	}
}

func TestWatchObeysContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		because := errors.New("because")
		c, s := client(func(n int, ctx context.Context) clientv3.WatchChan { <-ctx.Done(); return responses() })
		one := stream.New("one")
		for range 2 {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, because)
			start := time.Now()
			if _, err := one.Watch(ctx, c, "a"); !errors.Is(err, because) || time.Since(start) != time.Second {
				t.Errorf("Watch = %v after %v, want the cause after 1s", err, time.Since(start))
			}
			cancel()
		}
		if s.streams[0] != s.streams[1] {
			t.Error("a context that ended cost a stream")
		}
	})
}

// TestReplaceIsOncePerStream: two watches that find the same stream bad ask for one new stream, not for two.
func TestReplaceIsOncePerStream(t *testing.T) {
	t.Parallel()
	c, s := client(func(n int, ctx context.Context) clientv3.WatchChan { return responses(created(1)) })
	one := stream.New("one")
	watch := func() *stream.Watch {
		w, err := one.Watch(t.Context(), c, "a")
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first, second := watch(), watch()
	first.Replace()
	third := watch()
	second.Replace()
	watch()
	if s.streams[0] == s.streams[2] || s.streams[2] != s.streams[3] {
		t.Errorf("streams %q: want a new one after the first Replace only", s.streams)
	}
	third.Replace()
	watch()
	if s.streams[3] == s.streams[4] {
		t.Error("Replace of the new stream did nothing")
	}
}
