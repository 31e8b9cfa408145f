//go:build documented

package migrate

// What the programs of docs/migrate.md import, so that go.mod requires the modules of it. Nothing is built with the tag: the test takes
// these packages from their source, and only go mod tidy looks here.
import (
	_ "etcdkit/election"
	_ "etcdkit/lock"
	_ "etcdkit/session"

	_ "go.etcd.io/etcd/client/v3"
	_ "go.etcd.io/etcd/client/v3/concurrency"
	_ "go.etcd.io/etcd/client/v3/experimental/recipes"
	_ "k8s.io/apimachinery/pkg/apis/meta/v1"
	_ "k8s.io/client-go/kubernetes"
	_ "k8s.io/client-go/rest"
	_ "k8s.io/client-go/tools/leaderelection"
	_ "k8s.io/client-go/tools/leaderelection/resourcelock"
)
