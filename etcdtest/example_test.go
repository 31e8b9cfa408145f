package etcdtest_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/etcdtest"
)

// claim takes a key that nobody has.
func claim(t *testing.T, client *clientv3.Client, key string) bool {
	resp, err := client.Txn(t.Context()).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).Then(clientv3.OpPut(key, "")).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return resp.Succeeded
}

func ExampleNew() {
	// In a file of yours this is func TestClaim(t *testing.T).
	_ = func(t *testing.T) {
		t.Parallel()
		client := etcdtest.New(t)
		if !claim(t, client, "key") || claim(t, client, "key") {
			t.Error("the key must go to the first who asks")
		}
	}
}
