package config

import (
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

func TestNextPage(t *testing.T) {
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
		if got := nextPage(int64(test.keys), page(test.keys, test.size)); got != test.want {
			t.Errorf("after %d keys of %d bytes: %d, want %d", test.keys, test.size, got, test.want)
		}
	}
}
