package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestConfigListOfMany: more values than any page has, none of which is read.
func TestConfigListOfMany(t *testing.T) {
	t.Parallel()
	const many, size = 6000, 1000
	prefix := ownPrefix(t)
	var puts []clientv3.Op
	for i := range many {
		puts = append(puts, clientv3.OpPut(fmt.Sprintf("%s/config/app/%05d", prefix, i), strings.Repeat("x", size)))
	}
	for part := range slices.Chunk(puts, 100) {
		if _, err := shared.client.Txn(t.Context()).Then(part...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	between := newProxy(t, shared.endpoint)
	through := configIn(prefix)
	for _, args := range [][]string{through("ls"), through("ls", "app"), through("ls", "app/", "--endpoints", between.endpoint())} {
		out := succeed(t, args...)
		if got := strings.Count(out, "app/"); got != many || !strings.Contains(out, fmt.Sprintf("app/%05d", many-1)) {
			t.Errorf("%v: %d names", args, got)
		}
	}
	if got := between.answered.Load(); got < many || got > many*size/4 {
		t.Errorf("etcd answered with %d bytes", got)
	}
}
