// Package session gives a program one lease in etcd with a deadline that can be trusted: what is held under it ends here before etcd
// can give it to somebody else.
//
// A Session is what a program opens once, like an sql.DB, and hands to every other package of the kit.
//
//	client, err := clientv3.New(session.ClientConfig("127.0.0.1:2379"))
//	s := session.New(client, session.WithPrefix("prod"))
//	defer s.Close(ctx)
//
// # Guarantees
//
// The lease is taken to be ours until the moment before the last acknowledged renewal was sent, plus the TTL that was granted,
// less an allowance for clock rates (5 % of it) and a margin (a twentieth, at least 100 ms); on the monotonic clock or the wall
// clock, whichever is further on, since one of them stops while a machine is suspended and the other can be set. At that moment
// the context of everything held ends, with a *LostError as its cause. The server counts from a later moment and expires nothing
// early, so it gives nothing away before, as long as its clock does not run faster than ours by more than the allowance.
//
// What has ended stays ended. An outage that is longer than the TTL ends an epoch (Lease); if etcd says afterwards that the lease
// is alive, or grants another, a new epoch begins, and those who wait in line go on waiting. Programs do nothing for that.
//
// Close frees everything that is held at once.
//
// # Not guaranteed
//
// A process that is stopped (SIGSTOP, a debugger, a paused virtual machine) past the deadline believes in what it holds until the
// scheduler runs a timer again. Err reads the clocks, and a write under a Guard is refused by etcd whatever the process believes;
// a write to a system that does not look at the token is not protected at all.
//
// A connection that dies without a word is noticed only if the client sends keepalives: see ClientConfig.
//
// # Keys in etcd
//
// <prefix>/session/<lease in hex>, under the lease, with a small JSON that says who this is. The user needs read and write
// permission on <prefix>/, and the session of a program that works in two permission domains is two sessions, since etcd lets a
// lease be renewed only by who may write every key on it.
//
// # Cost
//
// Nothing until a lease is needed; then one grant and one put, and a renewal every third of the TTL, however much is held.
package session
