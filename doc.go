// Package etcdkit is the map of the house; it has no code. Import the packages below it:
//
//   - session: opened once in a program: an etcd client, a key prefix, and one lease with a deadline that can be trusted
//   - lock: mutexes, readers and writers, permits across a fleet; lock/fence for what is outside etcd
//   - election: one leader at a time
//   - config: typed settings that follow etcd
//   - discovery: who serves, registered under leases; discovery/grpcdisc and discovery/httpdisc for gRPC and HTTP, a gateway included
//
// Beside it are modules of their own: etcdtest (an etcd for your tests), koanfkit (a provider for koanf), cmd/etcdkit (the command line) and integration (the tests against
// real clusters, and the comparison with etcd's own packages).
package etcdkit
