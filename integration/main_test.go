package integration

import (
	"testing"

	"etcdkit/integration/cluster"
)

func TestMain(m *testing.M) { cluster.Main(m) }
