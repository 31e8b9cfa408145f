package paging

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestNext(t *testing.T) {
	t.Parallel()
	page := func(keys, size int) (kvs []*mvccpb.KeyValue) {
		for range keys {
			kvs = append(kvs, &mvccpb.KeyValue{Value: make([]byte, size)})
		}
		return kvs
	}
	tests := []struct {
		keys, size int
		want       int64
	}{
		{16, 100, 64},
		{4096, 10, 4096},
		{2048, 10, 4096},
		{16, 1 << 16, 16},
		{16, 1 << 20, 4},
		{1, 4 << 20, 1},
	}
	for _, test := range tests {
		if got := next(int64(test.keys), page(test.keys, test.size)); got != test.want {
			t.Errorf("after %d keys of %d bytes: %d, want %d", test.keys, test.size, got, test.want)
		}
	}
}

// script answers requests one after the other, and notes them.
type script struct {
	answers []answer
	asked   []string // key and revision
}

type answer struct {
	keys []string
	more bool
	err  error
}

func (s *script) get(_ context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	op := clientv3.OpGet(key, opts...)
	s.asked = append(s.asked, fmt.Sprintf("%q@%d", key, op.Rev()))
	a := s.answers[0]
	s.answers = s.answers[1:]
	if a.err != nil {
		return nil, a.err
	}
	// Each answer has a later header than the one before.
	resp := &clientv3.GetResponse{Header: &etcdserverpb.ResponseHeader{Revision: int64(len(s.asked)) * 10}, More: a.more}
	for _, key := range a.keys {
		resp.Kvs = append(resp.Kvs, &mvccpb.KeyValue{Key: []byte(key)})
	}
	return resp, nil
}

func TestRead(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	compacted := answer{err: fmt.Errorf("try: %w", rpctypes.ErrCompacted)}
	first, second := answer{keys: []string{"a", "b"}, more: true}, answer{keys: []string{"c"}}
	var always []answer
	for range mostStarts {
		always = append(always, first, compacted)
	}
	tests := []struct {
		name    string
		answers []answer
		asked   string
		keys    int
		rev     int64
		err     error
	}{
		{"one page", []answer{second}, `["a"@0]`, 1, 10, nil},
		{"nothing", []answer{{}}, `["a"@0]`, 0, 10, nil},
		{"two pages at one revision", []answer{first, second}, `["a"@0 "b\x00"@10]`, 3, 10, nil},
		{"compacted on the way", []answer{first, compacted, first, second}, `["a"@0 "b\x00"@10 "a"@0 "b\x00"@30]`, 3, 30, nil},
		{"compacted each time", always, "", 0, 0, rpctypes.ErrCompacted},
		{"another error", []answer{first, {err: down}}, `["a"@0 "b\x00"@10]`, 0, 0, down},
	}
	for _, test := range tests {
		s := &script{answers: test.answers}
		r, err := Read(t.Context(), s.get, "a", "z")
		if !errors.Is(err, test.err) || test.asked != "" && fmt.Sprint(s.asked) != test.asked || len(s.answers) != 0 {
			t.Errorf("%s: %v, asked %v, %d answers left", test.name, err, s.asked, len(s.answers))
		}
		if test.err == nil && (len(r.Keys) != test.keys || r.Revision != test.rev) {
			t.Errorf("%s: %+v", test.name, r)
		}
	}
}

func TestReadAt(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{keys: []string{"a", "b"}, more: true}, {keys: []string{"c"}}}}
	r, err := ReadAt(t.Context(), s.get, 7, "a", "z")
	if err != nil || len(r.Keys) != 3 || r.Revision != 7 || fmt.Sprint(s.asked) != `["a"@7 "b\x00"@7]` {
		t.Errorf("%+v, %v, asked %v", r, err, s.asked)
	}
	s = &script{answers: []answer{{err: rpctypes.ErrCompacted}}}
	if _, err := ReadAt(t.Context(), s.get, 7, "a", "z"); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("compacted: %v", err)
	}
}
