package integration

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
)

// within returns a context for one step of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// put writes, again if need be: a busy machine loses a leader now and then.
func put(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	err := retry.Do(within(t, 20*time.Second), func(ctx context.Context) error {
		_, err := client.Put(ctx, key, value)
		return err
	})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

// value reads a key, "" if it is absent.
func value(t *testing.T, client *clientv3.Client, key string) string {
	t.Helper()
	resp, err := client.Get(within(t, 10*time.Second), key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

// recovers waits until a client is served again.
func recovers(t *testing.T, client *clientv3.Client) {
	t.Helper()
	err := retry.Do(within(t, 10*time.Second), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := client.Get(ctx, "any")
		return err
	})
	if err != nil {
		t.Fatalf("the client is not served again: %v", err)
	}
}

// eventually waits until a condition holds that nothing announces.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx := within(t, 20*time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came about: %s", what)
		}
	}
}

// watchError returns the error with which a watch ends.
func watchError(t *testing.T, client *clientv3.Client, key string, opts ...clientv3.OpOption) error {
	t.Helper()
	for answer := range client.Watch(clientv3.WithRequireLeader(within(t, 10*time.Second)), key, opts...) {
		if err := answer.Err(); err != nil {
			return err
		}
	}
	t.Fatalf("the watch on %q ended without an error", key)
	return nil
}
