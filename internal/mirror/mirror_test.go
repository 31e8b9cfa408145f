package mirror

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// script plays etcd's part where time or the unlikely matters; what etcd really does is tested on the real one.
type script struct {
	clientv3.KV
	clientv3.Watcher

	mu       sync.Mutex // protects what follows
	list     lister
	check    checker
	progress func(chan<- clientv3.WatchResponse)
	lists    int
	opened   []int64 // the start revision of each watch
	current  chan clientv3.WatchResponse
}

// turn changes what happens next.
func (s *script) turn(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func header(rev int64) *etcdserverpb.ResponseHeader {
	return &etcdserverpb.ResponseHeader{ClusterId: 1, Revision: rev}
}

type (
	lister  func() ([]*mvccpb.KeyValue, *etcdserverpb.ResponseHeader, error)
	checker func() (*etcdserverpb.ResponseHeader, error)
)

func listOf(rev int64, evs ...*clientv3.Event) lister {
	var kvs []*mvccpb.KeyValue
	for _, ev := range evs {
		kvs = append(kvs, ev.Kv)
	}
	return func() ([]*mvccpb.KeyValue, *etcdserverpb.ResponseHeader, error) { return kvs, header(rev), nil }
}

func listAt(h *etcdserverpb.ResponseHeader) lister {
	return func() ([]*mvccpb.KeyValue, *etcdserverpb.ResponseHeader, error) { return nil, h, nil }
}

func failingList(err error) lister {
	return func() ([]*mvccpb.KeyValue, *etcdserverpb.ResponseHeader, error) { return nil, nil, err }
}

func checkOf(h *etcdserverpb.ResponseHeader) checker {
	return func() (*etcdserverpb.ResponseHeader, error) { return h, nil }
}

func failingCheck(err error) checker {
	return func() (*etcdserverpb.ResponseHeader, error) { return nil, err }
}

// newScript plays an etcd with one key, "p/a" of revision 5, and nothing going on.
func newScript() *script {
	return &script{
		list:     listOf(10, put("p/a", 5)),
		check:    checkOf(header(10)),
		progress: func(chan<- clientv3.WatchResponse) {},
	}
}

func (s *script) GetStream(context.Context, string, ...clientv3.OpOption) (clientv3.GetStreamChan, error) {
	return nil, status.Error(codes.Unimplemented, "not in this play")
}

func (s *script) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op := clientv3.OpGet(key, opts...); len(op.RangeBytes()) == 0 {
		h, err := s.check()
		return &clientv3.GetResponse{Header: h}, err
	}
	s.lists++
	kvs, h, err := s.list()
	return &clientv3.GetResponse{Header: h, Kvs: kvs}, err
}

func (s *script) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	op := clientv3.OpGet(key, opts...)
	ch := make(chan clientv3.WatchResponse, 10)
	ch <- clientv3.WatchResponse{Created: true, Header: header(10)}
	if op.Rev() == 0 { // the one that sweeps up after a stream
		return ch
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, op.Rev())
	s.current = ch
	return ch
}

func (s *script) RequestProgress(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress(s.current)
	return nil
}

// send is what the server says on the watch that is open now.
func (s *script) send(r clientv3.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header == nil {
		r.Header = header(10)
	}
	s.current <- r
}

func (s *script) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.current)
}

func (s *script) seen() (lists int, opened []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists, slices.Clone(s.opened)
}

// start runs a mirror of "p/" on the script, to the end of the test. The channel gets Run's error.
func start(t *testing.T, s *script) (*Mirror, <-chan error) {
	client := clientv3.NewCtxClient(context.Background())
	client.KV, client.Watcher = s, s
	m := New(client, "p/", slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ran <- m.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	synctest.Wait()
	return m, ran
}

// play is a test under fake time.
func play(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func stateOf(t *testing.T, m *Mirror) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	s, err := m.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return dump(s)
}

func TestClosedChannelIsResumed(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		s.send(clientv3.WatchResponse{Events: []*clientv3.Event{put("p/b", 12)}})
		synctest.Wait()
		s.turn(func() { s.check = checkOf(header(12)) })
		s.hangUp()
		synctest.Wait()
		if m.Stale() == 0 {
			t.Error("a mirror without a watch calls itself in step")
		}
		time.Sleep(time.Second) // fake time: the pause before the next try
		synctest.Wait()
		if lists, opened := s.seen(); lists != 1 || len(opened) != 2 || opened[0] != 11 || opened[1] != 13 {
			t.Errorf("%d lists, watches from %v; want 1 list, watches from 11 and 13", lists, opened)
		}
		if m.Stale() != 0 || stateOf(t, m) != "12: p/a5 p/b12" {
			t.Errorf("stale for %v with %q", m.Stale(), stateOf(t, m))
		}
	})
}

func TestCompactionIsListed(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		s.turn(func() { s.list, s.check = listOf(20, put("p/b", 15)), checkOf(header(20)) })
		s.send(clientv3.WatchResponse{Canceled: true, CompactRevision: 18})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := stateOf(t, m); got != "20: p/b15" {
			t.Errorf("after compaction the state is %q", got)
		}
		if lists, opened := s.seen(); lists != 2 || opened[len(opened)-1] != 21 {
			t.Errorf("%d lists, watches from %v", lists, opened)
		}
	})
}

func TestRewound(t *testing.T) {
	t.Parallel()
	foreign := &etcdserverpb.ResponseHeader{ClusterId: 2, Revision: 100}
	compacted := clientv3.WatchResponse{Canceled: true, CompactRevision: 18}
	tests := []struct {
		name   string
		rewind func(s *script)
	}{
		{"the list has an older revision", func(s *script) {
			s.turn(func() { s.list = listAt(header(9)) })
			s.send(compacted)
		}},
		{"the list is of another cluster", func(s *script) {
			s.turn(func() { s.list = listAt(foreign) })
			s.send(compacted)
		}},
		{"the check reads an older revision", func(s *script) {
			s.turn(func() { s.check = checkOf(header(9)) })
		}},
		{"the check reads another cluster", func(s *script) {
			s.turn(func() { s.check = checkOf(foreign) })
		}},
		{"the watch is of another cluster", func(s *script) {
			s.send(clientv3.WatchResponse{Header: foreign, Events: []*clientv3.Event{put("p/b", 100)}})
		}},
		{"the resumed watch finds an older revision", func(s *script) {
			s.turn(func() { s.check = checkOf(header(9)) })
			s.hangUp()
		}},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := newScript()
			m, ran := start(t, s)
			test.rewind(s)
			time.Sleep(40 * time.Second)
			select {
			case err := <-ran:
				if !errors.Is(err, ErrRewound) || !strings.Contains(err.Error(), `"p/"`) {
					t.Errorf("%s: Run = %v", test.name, err)
				}
			default:
				t.Fatalf("%s: the mirror went on", test.name)
			}
			if _, err := m.Snapshot(t.Context()); !errors.Is(err, ErrRewound) {
				t.Errorf("%s: Snapshot = %v", test.name, err)
			}
			if m.Stale() == 0 {
				t.Errorf("%s: an ended mirror calls itself in step", test.name)
			}
		})
	}
}

func TestPermissionTakenAway(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, ran := start(t, s)
		s.turn(func() { s.check = failingCheck(rpctypes.ErrPermissionDenied) })
		var told, ended string
		for u, err := range m.Updates(t.Context()) {
			if err != nil {
				ended = err.Error()
				continue // there must be no further pair
			}
			told = text(u)
		}
		if told != "10: +p/a5" || !strings.Contains(ended, "permission denied") || !strings.Contains(ended, `"p/"`) {
			t.Errorf("told %q, ended with %q", told, ended)
		}
		if err := <-ran; !errors.Is(err, rpctypes.ErrPermissionDenied) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestPermissionMissingFromTheStart(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		s.turn(func() { s.list = failingList(rpctypes.ErrPermissionDenied) })
		m, _ := start(t, s)
		if _, err := m.Snapshot(t.Context()); !errors.Is(err, rpctypes.ErrPermissionDenied) {
			t.Errorf("Snapshot = %v", err)
		}
	})
}

// TestRefusedWatchIsListed: a watch's error can be a sibling's, so it ends nothing; the list does.
func TestRefusedWatchIsListed(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		_, ran := start(t, s)
		s.send(clientv3.WatchResponse{Canceled: true, CancelReason: rpctypes.ErrPermissionDenied.Error()})
		time.Sleep(time.Second)
		synctest.Wait()
		if lists, _ := s.seen(); lists != 2 || len(ran) != 0 {
			t.Errorf("%d lists, ended: %v", lists, len(ran) != 0)
		}
	})
}

func TestStaleWhileChecksFail(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		begun := time.Now()
		if got := m.Stale(); got != 0 {
			t.Fatalf("in step, but stale for %v", got)
		}
		s.turn(func() { s.check = failingCheck(rpctypes.ErrTimeout) })
		time.Sleep(100 * time.Second)
		if got := m.Stale(); got != time.Since(begun) {
			t.Errorf("stale for %v, though nothing is proven for %v", got, time.Since(begun))
		}
		s.turn(func() { s.check = checkOf(header(10)) })
		time.Sleep(recheck)
		synctest.Wait()
		if got := m.Stale(); got != 0 {
			t.Errorf("in step again, but stale for %v", got)
		}
		if _, opened := s.seen(); len(opened) != 1 {
			t.Errorf("failed reads cost the watch: %v", opened)
		}
	})
}

func TestSilentWatchIsReplaced(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		s.turn(func() {
			s.progress = func(ch chan<- clientv3.WatchResponse) { ch <- clientv3.WatchResponse{Header: header(11)} }
		})
		s.turn(func() { s.check = checkOf(header(11)) })
		m, _ := start(t, s)
		if m.Revision() != 11 || m.Stale() != 0 {
			t.Fatalf("at revision %d, stale for %v: progress was not believed", m.Revision(), m.Stale())
		}
		s.turn(func() { s.progress = func(chan<- clientv3.WatchResponse) {} })
		s.turn(func() { s.check = checkOf(header(12)) }) // something, somewhere, was written
		time.Sleep(34*time.Second + patience)
		if _, opened := s.seen(); len(opened) < 2 || opened[1] != 11 { // from the last event or list, not from the progress
			t.Errorf("watches from %v, want a second one from 11", opened)
		}
		if m.Stale() == 0 {
			t.Error("a silent watch counts as in step")
		}
	})
}

// TestHeaderAheadOfItsEvents: a watch that catches up gets them in portions, under the header of the newest revision.
func TestHeaderAheadOfItsEvents(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		m, _ := start(t, s)
		s.send(clientv3.WatchResponse{Header: header(30), Events: []*clientv3.Event{put("p/b", 12)}})
		synctest.Wait()
		if m.Revision() != 12 {
			t.Errorf("believes to be right up to %d, but was told up to 12", m.Revision())
		}
	})
}

func TestUnreachable(t *testing.T) {
	play(t, func(t *testing.T) {
		s := newScript()
		s.turn(func() { s.list = failingList(rpctypes.ErrNoLeader) })
		m, _ := start(t, s)
		because := errors.New("because")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, because)
		defer cancel()
		_, err := m.Snapshot(ctx)
		if !errors.Is(err, because) || !errors.Is(err, rpctypes.ErrNoLeader) || !strings.Contains(err.Error(), `"p/"`) {
			t.Errorf("Snapshot = %v, want an error that names the prefix, the cause and what stood in the way", err)
		}
		if lists, _ := s.seen(); lists < 8 || lists > 40 {
			t.Errorf("%d tries in 10s", lists)
		}
		for u, err := range m.Updates(ctx) {
			if u != nil || !errors.Is(err, because) {
				t.Errorf("Updates = %v, %v", u, err)
			}
		}
	})
}

func TestRunReturnsItsCause(t *testing.T) {
	play(t, func(t *testing.T) {
		client := clientv3.NewCtxClient(context.Background())
		s := newScript()
		client.KV, client.Watcher = s, s
		m := New(client, "p/", slog.New(slog.NewTextHandler(io.Discard, nil)))
		because := errors.New("because")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(because) })
		if err := m.Run(ctx); !errors.Is(err, because) {
			t.Errorf("Run = %v", err)
		}
		pairs := 0
		for u, err := range m.Updates(t.Context()) {
			if pairs++; u != nil || !errors.Is(err, because) {
				t.Errorf("Updates of an ended mirror = %v, %v", u, err)
			}
		}
		if pairs != 1 {
			t.Errorf("%d pairs", pairs)
		}
	})
}
