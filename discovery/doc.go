// Package discovery tells who serves: instances register themselves under a lease and stay the same whatever happens to it, and who watches has
// a list at the cost of a pointer load, which an outage of etcd neither empties nor shrinks.
//
//	r, err := discovery.Register(ctx, s, "api", discovery.Instance{Addr: "10.0.0.7:8080", Zone: "b", Weight: 2})
//	defer r.Deregister(ctx)
//
//	v, err := discovery.Watch(ctx, s, "api", discovery.WithLastGood("/var/lib/gateway/api"))
//	inst, done, err := v.Pick(picker)          // RoundRobin, LeastLoaded, ConsistentHash, ...; done(err) when the request is over
//	for ch, err := range v.Changes(ctx) {...}  // what is there, then each change
//
// Package grpcdisc hands the list to gRPC, package httpdisc has an http.RoundTripper and a gateway.
//
// # Guarantees
//
// A registered instance keeps its ID. If the lease outlives an outage, which etcd's leases do if it comes back, no watcher sees the instance leave;
// if it does not, the instance is registered again under the next lease at once. What somebody else deletes or writes over is put again. An ID is that
// of one process: who comes second is told (ErrTaken).
//
// Who leaves says so first (Drain, Deregister, Session.Close), and nothing of it comes later, also where answers of etcd were lost. A registration
// that failed leaves nothing either.
//
// A View never shrinks because etcd is unreachable: it says since when it is stale. It is in step again within a second of the connection being back,
// deletes that it missed included. Keys that are no instance are skipped and counted.
//
// When more than half of at least four instances vanish within a TTL without having said that they leave, they stay, on probation, for two TTLs: it may be
// that not they are gone, but their way to etcd. Probation ends at once when a connection to the instance fails (Report, done of Pick) or the
// probe does (WithProbe). Where the view itself is stale it does not run out.
//
// # Not guaranteed
//
// A list is never a promise: an instance that dies stays in it until its lease is over, at most the session's TTL and some 1.5 s after its death, and etcd
// itself takes longer when thousands die at once. Requests have to be tried again elsewhere; a picker with Ejection avoids who fails.
//
// Two views see a change at different moments. Who drains should go on serving for a moment.
//
// A View ends, and keeps what it has, when the right to read is taken away (within some 30 s), or when the cluster was restored from a backup
// (ErrRewound): Changes and Snapshot tell. Watch anew then.
//
// The records of etcd's own client/v3/naming/endpoints (WithEndpoints) know no states: who leaves cannot say so first, and a service of which most leave
// within a TTL has them on probation.
//
// # Keys in etcd
//
//	<prefix>/discovery/<service>/@/<id>     an instance, under its session's lease, in JSON
//
// It can be written by hand: etcdctl put etcdkit/discovery/db/@/main '{"addr":"10.0.0.9:5432"}' has no lease, and stays until it is deleted. Who registers needs the
// right to read and write its own key, and its session's; who watches, to read those below <prefix>/discovery/<service>/@/.
//
// # Cost
//
// A registration is one transaction, one watch of its own key (and one of etcd's record, WithEndpoints) and one small read every 30 s of each; Deregister is two transactions. Renewals are the
// session's. A view is one watch for each service and session, and holds all records in memory, up to 64 KiB each; the first read after a change
// costs a copy of the list of instances. It needs no lease.
package discovery
