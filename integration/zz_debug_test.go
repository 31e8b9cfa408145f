package integration

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

func debugStreams() func(*clientv3.Config) {
	start := time.Now()
	count := func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if strings.HasSuffix(method, "/Watch") {
			md, _ := metadata.FromOutgoingContext(ctx)
			fmt.Println("STREAM", time.Since(start), md)
			_ = debug.Stack
		}
		return open(ctx, desc, conn, method, opts...)
	}
	return func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(count))
	}
}
