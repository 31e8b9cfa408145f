// Package mirror keeps the keys below a prefix in memory, in step with etcd: list at revision R, watch from R+1, survive everything.
// It is the one place that watches a prefix; what the keys mean is none of its business.
//
// A Mirror is made for each prefix and run by its owner: Run is its only loop. Readers take a Snapshot, or follow Updates, of all keys
// or of one: the whole state first, then differences. When the watch ends (compaction, no leader, an expired token, a channel that closes without a
// word), it is taken up where it ended if the history is still there, else the prefix is listed again and the difference
// delivered, so that a follower sees one continuous story: deletes missed while away are in it.
//
// # What is guaranteed
//
//   - A state is the one etcd had at one revision. The changes of a transaction are never split over two updates.
//   - Revisions never fall. Events of a revision that was already applied, from a lagging member or a resumed watch, are dropped.
//     A cluster that reads as older than what was seen, or as another one, ends the mirror with ErrRewound.
//   - A permission that is taken away ends it within CheckEvery: etcd goes on feeding a watch that is open.
//   - A follower that is slow gets its backlog folded into one net difference, so what it can hold up is bounded by the number of
//     keys that it was told of and that are there. What is folded: values that were soon overwritten, and keys that came and
//     went. A key deleted and created anew reads as a put whose CreateRevision differs from that of its predecessor.
//
// # What is not
//
//   - That it is up to date: Stale tells, and Follow and Changes tell when that turns. It is noticed at once that all connections break or that the watch ends, and within
//     CheckEvery that a watch went silent, which is then replaced.
package mirror
