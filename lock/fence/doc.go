// Package fence refuses writes to a resource outside etcd by a lock holder that was overtaken.
//
// A lock alone cannot do that. A process that is stopped for longer than its lease lives (a suspended machine, a very long
// pause) may go on for a moment as if it still held the lock, and a request that it has sent may arrive at any time. In etcd
// the Guard of a hold refuses such a write. Everywhere else the resource has to: each grant of a lock has a higher token than the
// one before, the writer sends its token along, and the resource remembers the highest one and refuses those below.
//
// # A database
//
// Give what the lock protects a column for the token:
//
//	CREATE TABLE account (id TEXT PRIMARY KEY, balance INTEGER NOT NULL, token INTEGER NOT NULL DEFAULT 0);
//
// First claim the row, once for each hold, and only then read it. From here on nobody older can change what you read:
//
//	UPDATE account SET token = ? WHERE id = ? AND token <= ?; -- my token, id, my token
//
// Then write as often as you like, under the same condition:
//
//	UPDATE account SET balance = ?, token = ? WHERE id = ? AND token <= ?; -- new balance, my token, id, my token
//
// Zero rows affected means that somebody with a higher token was there (or that there is no such row): stop, the lock is lost.
// One token fits all statements of one hold, hence <= and not <.
//
// # A service, a file
//
// A service takes the token with each request, in a header for example, and asks a Checker in the critical section in which it
// also does the write; it answers 409 Conflict to a stale one. Something that must survive a restart of the service keeps the
// token beside the data, in the same transaction, as above.
//
// A file on a shared file system has nobody to check for it. Give each holder a file of its own, named by its token, and let
// readers take the one with the highest; or put a service before it. An object store with conditional writes can do what the
// database does: keep the token in the object, and replace it only if it is still the one that you have read.
//
// # Not guaranteed
//
// A resource that does not look at the token is not protected. Nor is what a holder does before anybody newer has claimed the
// resource: that counts as done in time, which is why claiming comes before reading. Tokens of different locks have nothing to do with
// each other, and one resource must be under one lock. Tokens come from the revision of the etcd cluster: after a move to another
// cluster, or a restore from a backup without a raised revision, they begin lower, and each resource refuses them until
// its memory is reset.
package fence
