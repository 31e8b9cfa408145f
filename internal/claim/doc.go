// Package claim is the one place that claims: a key of ours, under our lease, in a line of keys that is ordered by create revision.
//
// A line is a key range. Whoever owns the key with the lowest create revision holds the line; everybody else waits for the key
// just before its own. That is etcd's own rule (client/v3/concurrency), so its mutexes and `etcdctl lock` may stand in the same
// line; here nobody is skipped, whatever a key's name or value.
//
// # One front per session
//
// A session has at most one key in a line (two while it passes the line on within itself). Its callers queue in memory (Line),
// and one of them, the front, does what has to be done in etcd: it puts the key, waits for those before it, and holds. All
// that a front leaves behind is a turn: perhaps a key that stands in the line, perhaps a debt, a key that has to be gone or a
// request that may still put one. The turn goes to the next caller, and if there is none, to the janitor. So there is never more
// than one goroutine that works on a line, and no state but the turn.
//
// # Slots
//
// The keys of a session have a few names that are used again and again, since each name that was ever used makes every range over
// the line slower until etcd compacts. What identifies a key is its create revision, never its name: a delete is guarded by
// it, and so is everything that a holder writes.
//
// # Unknown outcomes
//
// A put whose answer was lost may stand in the line, or may stand there ten seconds from now; that it cannot be seen proves nothing.
// Each put compares the session key's revision, so writing the session key again (Refence) makes it void, and after that a read is
// a proof. A turn from one local caller to the next needs no fence: it compares the old key, so when the old key's deletion is
// acknowledged, the turn has happened or never will.
//
// # Being told
//
// Who waits for one key watches it. Where any of many keys may make room (Permits), who releases reads in the same transaction who
// holds from then on, and touches their keys, which their sessions watch all the time. That is a hint for speed: each waits to be told
// for a moment only, and then watches what is ahead of it.
package claim
