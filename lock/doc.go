// Package lock lets one process at a time, in a whole fleet, do a thing: a mutex in etcd that says in time when it is lost.
//
//	mu := lock.NewMutex(s, "reports/nightly")
//	err := mu.Do(ctx, func(ctx context.Context, h *lock.Hold) error {
//		return client.write(ctx, h.Token()) // ctx ends when the lock is lost
//	})
//
// # Guarantees
//
// At most one hold of a lock is certain at a time (Hold.Err is nil, Hold.Context lives), in all processes and goroutines together, as long as
// the clock of the etcd server does not run faster than ours by more than the session's allowance. A hold ends before its lease can,
// and before a release is sent.
//
// A transaction under Hold.Guard changes nothing once the hold is over: that is true whatever clocks, schedulers and networks do. Token
// grows with each hold, so that systems outside of etcd can do the same check (package lock/fence).
//
// The lock is fair: sessions are served in the order of their keys' create revisions, callers of one session in the order of their calls. A
// session that passes the lock on within itself goes to the end of the line first.
//
// Lock goes on waiting over outages, compactions and lost leases, and ends with its ctx, also while etcd is unreachable. A request whose answer
// was lost is found and used, or undone, however late it is applied. Unlock frees the lock also when ctx is over, and
// also when the store is full.
//
// # Not guaranteed
//
// A lock cannot stop a process. One that was frozen past its deadline runs on for a moment before it learns of the loss, and a write that it
// sends then to a system that checks neither guard nor token takes effect. Break ends a hold only when its process sees the key gone.
//
// etcd's client sends a request a second time by itself when something between it and the server answers Canceled or DeadlineExceeded while
// the caller's context lives. If the first copy of an acquisition is applied after the lock was let go of, its key keeps the others
// out until this session uses the lock again or ends. It cannot let anybody in.
//
// A mutex is not reentrant: locking it again before it is unlocked waits for ever, or until ctx ends.
//
// # Keys in etcd
//
// <prefix>/lock/<name>/@/<lease in hex>, with "-1" and so on behind where one session needs a second key, with the value "exclusive", under the
// session's lease. The oldest create revision holds. Any other key below <prefix>/lock/<name>/@/ counts as well: `etcdctl lock` and
// concurrency.NewMutex, given Mutex.Key, are in the same line. The user needs read and write permission on <prefix>/.
//
// # Cost
//
// Uncontended: one transaction to lock, one to unlock. Contended: one to join the line, one watch on the key just before, one read to be sure.
// From one caller to the next within a session: one transaction. A hold of more than 100 ms opens a watch on its key.
package lock
