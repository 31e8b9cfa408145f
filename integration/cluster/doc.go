// Package cluster starts etcd clusters inside a test and breaks them: cut and half-open connections, lost and late answers, late
// commits, stopped and isolated members, compaction, a full store.
//
// It stands on server/v3/embed and a TCP proxy of its own, not on etcd's tests/v3/framework/integration, for these
// reasons: the framework changes the working directory of the process and must find it unchanged (its sockets are relative paths),
// allows one test context at a time, cannot put its bridge in front of a TCP listener, and its Blackhole lets one more read through
// in each direction. Here nothing is global: the shared cluster of Main and any number of clusters of New live side by side, in
// parallel tests too, and the tests keep their working directory.
//
// Ticks are 10 ms and elections 100 ms, so leases can be as short as a second; there is no fsync, no log and no verification of
// etcd by itself. All members of all clusters live in the test process, so a paused process or a slow disk are not for here.
package cluster
