// Package lock lets one process at a time, in a whole fleet, do a thing: a mutex in etcd that says in time when it is lost.
//
//	mu := lock.NewMutex(s, "reports/nightly")
//	err := mu.Do(ctx, func(ctx context.Context, h *lock.Hold) error {
//		return client.write(ctx, h.Token()) // ctx ends when the lock is lost
//	})
//
// Beside Mutex there are RWMutex (one writer, or many readers), Semaphore (so many permits) and Multi (several mutexes at once). What is
// held is a Hold in each case, or a MultiHold.
//
// # Guarantees
//
// At most one hold of a lock is certain at a time (Hold.Err is nil, Hold.Context lives), in all processes and goroutines together, as long as
// the clock of the etcd server does not run faster than ours by more than the session's allowance. A hold ends before its lease can,
// and before a release is sent.
//
// A transaction under Hold.Guard changes nothing once the hold is over: that is true whatever clocks, schedulers and networks do. Token
// grows with each hold, so that systems outside of etcd can do the same check (package lock/fence). Readers who hold together may have
// the same token; it is higher than those of all writers before, and lower than those of all writers after.
//
// The lock is fair: sessions are served in the order of their keys' create revisions, callers of one session in the order of their calls. A
// session that passes the lock on within itself goes to the end of the line first. That is so for readers and writers alike, and for
// callers of a semaphore who want few permits or many: nobody is overtaken by those who would be easier to serve, and nobody
// starves. The callers of one session wait for a semaphore in memory, but for the first.
//
// A Multi takes its locks in one order everywhere, whatever the order in which they were named, so there is no deadlock among them.
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
// A mutex is not reentrant: locking it again before it is unlocked waits for ever, or until ctx ends. Nor is reading, if a writer has come
// in between. Two locks that are taken one by one, and not by a Multi, can deadlock.
//
// Those who read by one key lose it together. The size of a semaphore is what NewSemaphore was given until Resize has set one: if programs
// give different ones before that, the larger one counts for those who gave it, and
// for whom they make room.
//
// # Keys in etcd
//
// <prefix>/lock/<name>/@/<lease in hex>, with "-1" and so on behind where one session needs a second key, with the value "exclusive", under the
// session's lease. The oldest create revision holds. Any other key below <prefix>/lock/<name>/@/ counts as well: `etcdctl lock` and
// concurrency.NewMutex, given Mutex.Key, are in the same line. The user needs read and write permission on <prefix>/.
//
// Readers stand in the line of the mutex, with the value "shared", and a "~" before their lease: whatever name begins like that reads, and
// everything else excludes, unless it is a writer's key that Downgrade has given that value.
//
// A semaphore has <prefix>/semaphore/<name>/@/<lease in hex>, with ".1" and so on behind for the second hold of a session, then "~" and the
// number of permits, and the value "permits 3". A key that does not end like that takes all of them. The size that Resize has set
// is the value of <prefix>/semaphore/<name>/@.size, a decimal number.
//
// # Cost
//
// Mutex, uncontended: one transaction to lock, one to unlock. Contended: one to join the line, one watch on the key just before, one read to be
// sure. From one caller to the next within a session: one transaction. A hold of more than 100 ms opens a watch on its key.
//
// RWMutex: a writer costs what a mutex does. The first reader of a session costs a transaction, the next ones a read each as long as it
// holds, and the last one to leave a transaction; what each reads is as long as there are writers, however many readers. A reader
// who waits watches the key of one writer.
//
// Semaphore: as a mutex, but each who joins the line, or leaves it, reads as many names as there are permits, and who releases writes the keys
// of those anew for whom he makes room. A session that has waited keeps a watch of its own keys for some 10 s after it was last of
// use; who is told reads his own key, to be sure. Who was not told within 0.1 s, because the permits are held for longer, or who made
// room was lost or had waited himself, watches the nearest keys ahead that take more than the size leaves, and the size; closer to
// the head, or where these would be more than 16 keys, the line.
//
// Multi: what its locks cost, one after the other; they are released at once.
package lock
