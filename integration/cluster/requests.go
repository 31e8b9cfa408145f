package cluster

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"
)

// requests counts the unary requests that reach the members of a cluster.
type requests struct {
	mu     sync.Mutex     // protects counts
	counts map[string]int // by full method
}

// count is the interceptor of a server that counts.
func (r *requests) count(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	r.mu.Lock()
	r.counts[info.FullMethod]++
	r.mu.Unlock()
	return handle(ctx, req)
}

// of returns how often a method was called: "Txn", or in full "/etcdserverpb.KV/Txn"; all of them if it is empty.
func (r *requests) of(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for full, count := range r.counts {
		if method == "" || full == method || strings.HasSuffix(full, "/"+method) {
			n += count
		}
	}
	return n
}
