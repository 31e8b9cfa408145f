package stream_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"etcdkit/internal/stream"
)

// script is a Watcher that plays the server's part: answer gets the number of the stream, from one.
type script struct {
	clientv3.Watcher
	answer func(stream int, ctx context.Context) clientv3.WatchChan

	mu      sync.Mutex // protects what follows
	watches []string   // the stream of each watch
	streams []string   // each once
	asked   string     // the stream of the last RequestProgress
}

func (s *script) Watch(ctx context.Context, _ string, opts ...clientv3.OpOption) clientv3.WatchChan {
	if len(opts) == 0 {
		panic("a watch without options cannot notify of its creation")
	}
	s.mu.Lock()
	name := streamOf(ctx)
	s.watches = append(s.watches, name)
	if !slices.Contains(s.streams, name) {
		s.streams = append(s.streams, name)
	}
	n := slices.Index(s.streams, name) + 1
	s.mu.Unlock()
	return s.answer(n, ctx)
}

// seen returns how many streams there were and the stream of each watch.
func (s *script) seen() (streams int, watches []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams), slices.Clone(s.watches)
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

func client(t *testing.T, answer func(int, context.Context) clientv3.WatchChan) (*clientv3.Client, *script) {
	s := &script{answer: answer}
	c := clientv3.NewCtxClient(t.Context())
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
	c, s := client(t, func(n int, _ context.Context) clientv3.WatchChan {
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
	_, on := s.seen()
	if on[0] != on[1] || on[0] == on[2] {
		t.Errorf("watches on %q: want the first two on one stream, the third on another", on)
	}
	if err := w.RequestProgress(ctx); err != nil || s.asked != on[0] {
		t.Errorf("progress was asked of %q, %v; want %q", s.asked, err, on[0])
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
			c, s := client(t, func(n int, ctx context.Context) clientv3.WatchChan {
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
			if streams, watches := s.seen(); streams != 3 {
				t.Errorf("%s: watches on %q, want a new stream for each try", test.name, watches)
			}
		})
	}
}

func TestWatchObeysContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		because := errors.New("because")
		c, s := client(t, func(n int, ctx context.Context) clientv3.WatchChan { <-ctx.Done(); return responses() })
		one := stream.New("one")
		for range 2 {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, because)
			start := time.Now()
			if _, err := one.Watch(ctx, c, "a"); !errors.Is(err, because) || time.Since(start) != time.Second {
				t.Errorf("Watch = %v after %v, want the cause after 1s", err, time.Since(start))
			}
			cancel()
		}
		if streams, watches := s.seen(); streams != 1 {
			t.Errorf("watches on %q: a context that ended cost a stream", watches)
		}
	})
}

// TestReplaceIsOncePerStream: two watches that find the same stream bad ask for one new stream, not for two.
func TestReplaceIsOncePerStream(t *testing.T) {
	t.Parallel()
	c, s := client(t, func(n int, ctx context.Context) clientv3.WatchChan { return responses(created(1)) })
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
	if streams, on := s.seen(); streams != 2 {
		t.Errorf("watches on %q: want a new stream after the first Replace only", on)
	}
	third.Replace()
	watch()
	if streams, _ := s.seen(); streams != 3 {
		t.Error("Replace of the new stream did nothing")
	}
}

// TestClose: what is left of a stream is a watch that was created and ended, whatever became of the others.
func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reachable := make(chan struct{})
		var last context.Context
		c, s := client(t, func(_ int, ctx context.Context) clientv3.WatchChan {
			select {
			case <-reachable:
				last = ctx
				return responses(created(1))
			case <-ctx.Done():
				return responses()
			}
		})
		one := stream.New("one")
		one.Close() // nothing was opened
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := one.Watch(ctx, c, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch = %v", err)
		}
		one.Close()
		synctest.Wait()
		close(reachable)
		synctest.Wait()
		if streams, watches := s.seen(); streams != 1 || len(watches) != 2 || last == nil || last.Err() == nil {
			t.Errorf("watches on %q, the last one with %v; want two on one stream, the last one ended", watches, last)
		}
	})
}
