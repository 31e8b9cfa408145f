package integration

import (
	"testing"

	"etcdkit/integration/cluster"
	"etcdkit/integration/worker"
)

func TestMain(m *testing.M) {
	worker.Main() // a test that starts workers runs this binary again
	cluster.Main(m)
}
