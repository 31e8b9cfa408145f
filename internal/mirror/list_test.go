package mirror

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// shelf is a KV that lists what it has in chunks, or in pages, and writes down what it was asked for.
type shelf struct {
	clientv3.KV
	stream func(context.Context, chan<- clientv3.RangeStreamResponse)
	keys   int
	asked  []string
}

func (s *shelf) GetStream(ctx context.Context, _ string, _ ...clientv3.OpOption) (clientv3.GetStreamChan, error) {
	s.asked = append(s.asked, "stream")
	ch := make(chan clientv3.RangeStreamResponse)
	go func() { defer close(ch); s.stream(ctx, ch) }()
	return ch, nil
}

func (s *shelf) Get(_ context.Context, from string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	op := clientv3.OpGet(from, opts...)
	s.asked = append(s.asked, fmt.Sprintf("%q at %d", from, op.Rev()))
	resp := &clientv3.GetResponse{Header: header(10 + int64(len(s.asked)))} // the cluster goes on meanwhile
	for i := range s.keys {
		key := fmt.Sprintf("p/%04d", i)
		if key < from {
			continue
		}
		if len(resp.Kvs) == int(op.Limit()) {
			resp.More = true
			break
		}
		resp.Kvs = append(resp.Kvs, put(key, 1).Kv)
	}
	return resp, nil
}

func chunk(h *etcdserverpb.ResponseHeader, keys ...string) clientv3.RangeStreamResponse {
	resp := &etcdserverpb.RangeResponse{Header: h}
	for _, key := range keys {
		resp.Kvs = append(resp.Kvs, put(key, 1).Kv)
	}
	return clientv3.RangeStreamResponse{RangeResponse: resp}
}

func onShelf(s *shelf) *Mirror {
	client := clientv3.NewCtxClient(context.Background())
	client.KV = s
	return New(client, "p/", slog.New(slog.DiscardHandler))
}

func TestListPages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		keys int
		want string
	}{
		{0, `"p/" at 0`},
		{999, `"p/" at 0`},
		{1000, `"p/" at 0`},
		{1001, `"p/" at 0; "p/0999\x00" at 11`},
		{2500, `"p/" at 0; "p/0999\x00" at 11; "p/1999\x00" at 11`},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.keys), func(t *testing.T) {
			t.Parallel()
			s := &shelf{keys: test.keys}
			m := onShelf(s)
			m.paged = true
			l, err := m.list(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.asked, "; "); got != test.want || len(l.items) != test.keys || l.header.Revision != 11 {
				t.Errorf("asked %s: %d items at revision %d; want %s", got, len(l.items), l.header.Revision, test.want)
			}
		})
	}
}

func TestListStream(t *testing.T) {
	t.Parallel()
	s := &shelf{stream: func(_ context.Context, ch chan<- clientv3.RangeStreamResponse) {
		ch <- chunk(nil, "p/a", "p/b")
		ch <- chunk(header(7), "p/c")
	}}
	l, err := onShelf(s).list(t.Context())
	if err != nil || len(l.items) != 3 || l.header.Revision != 7 {
		t.Errorf("list = %+v, %v", l, err)
	}
}

func TestListStreamThatBreaksOff(t *testing.T) {
	t.Parallel()
	s := &shelf{stream: func(_ context.Context, ch chan<- clientv3.RangeStreamResponse) { ch <- chunk(nil, "p/a") }}
	if l, err := onShelf(s).list(t.Context()); err == nil {
		t.Errorf("half a list passed for a whole one: %+v", l)
	}
}

// TestListTakesItsTimeButNotTooMuch: a big list may take minutes, a silent server may not.
func TestListTakesItsTimeButNotTooMuch(t *testing.T) {
	play(t, func(t *testing.T) {
		s := &shelf{stream: func(_ context.Context, ch chan<- clientv3.RangeStreamResponse) {
			for i := range 30 {
				time.Sleep(4 * time.Second)
				ch <- chunk(nil, fmt.Sprint("p/", i))
			}
			ch <- chunk(header(7))
		}}
		if l, err := onShelf(s).list(t.Context()); err != nil || len(l.items) != 30 {
			t.Errorf("slow list: %+v, %v", l, err)
		}
		s.stream = func(ctx context.Context, ch chan<- clientv3.RangeStreamResponse) {
			ch <- chunk(nil, "p/a")
			<-ctx.Done()
		}
		begun := time.Now()
		if _, err := onShelf(s).list(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer") || time.Since(begun) != patience {
			t.Errorf("stuck list: %v after %v", err, time.Since(begun))
		}
		synctest.Wait() // the sender is gone too: synctest would complain of it
	})
}
