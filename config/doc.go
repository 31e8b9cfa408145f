// Package config gives a program typed settings that follow etcd at the cost of a pointer load, and that a bad edit cannot take down.
//
//	v, err := config.Watch(ctx, s, "app/api", Settings{Timeout: time.Second})
//	v.Get().Timeout                          // what stands in etcd, or the default
//	for ch, err := range v.Changes(ctx) {...} // the current value, then each change
//
//	st := config.NewStore(s, "app/api")      // who writes has compare-and-swap, a history and a way back
//	rev, err = st.Put(ctx, rev, data, config.WithComment("slower"), config.WithCheck(config.Check(Settings{})))
//
// # Values
//
// A value is one key with strict JSON: a field that the type does not have, a field twice in one object, however deep, what is not UTF-8 and
// null as a whole are errors. Durations are written "5s", and a number is refused, since who writes 5 means seconds; Marshal writes them so.
// Fields go by their json tags, and where etcd does not tell a field it has its default, also within maps; a list is what it says.
// WithDecoder takes yaml.Unmarshal or the like instead, and T = []byte takes the bytes as they are. If T or *T has a method Validate() error,
// that is asked too. A default that it refuses means that something must be set in etcd: if nothing stands there, Watch fails at once, and a
// delete that would go back to the default (WithDeleteResets) is refused.
//
// WithTree takes all keys below a name, each of which is a field: text needs no quotes there ("etcdctl put etcdkit/config/app/api/http/timeout
// 5s"), and where a key that is an object has keys below it, these win. Keys that no path is spelled like are skipped, and the log says so
// once. A decoder, T = []byte and Store.Get see the tree as one JSON document; where that cannot tell all of it (text that is not UTF-8, a key
// with text and keys below it), the update, or the read, is refused, and the key named.
//
// # Guarantees
//
// Whatever stands in etcd, the program has a value that was decoded and found valid. An update that was not is refused: the last good value
// stays, and Changes, Snapshot, the log, and with WithReport whoever asks Store.Status, tell why. A decoder or a Validate that panics refuses.
//
// A value is that of one revision: the keys of a tree that one transaction wrote change together. Revisions do not fall while a Value lives.
// After an outage or a compaction it converges to what stands in etcd, deletes included, within a second of the connection being back.
//
// Absent at the start means the default, if that is valid. A value that is deleted later stays as it was and says so (WithDeleteResets: goes
// back to the default); in a tree, the field of a deleted key goes back to its default as long as other keys are there, and it is deleted when
// none is.
//
// That etcd is out of reach does not change a value. Changes tells of it, by itself, and again when the value is in step (Change.StaleSince).
//
// No default is used in silence because etcd could not be asked: Watch then returns the last good value (WithLastGood), which says that it is
// stale, or an error. The last good file is replaced whole or not at all at each value that is accepted, and never if it holds anything but
// a last good file of this very value. It is decoded and validated anew when it is used.
//
// A write of a Store happens as a whole or not at all, history included, and only if nobody else wrote since the revision that it names. One
// whose answer was lost is found again, and one that returned a conflict or a refusal does not come later. The history does not depend on etcd's own, which compaction drops.
//
// # Not guaranteed
//
// Values do not change together: two Values, in one process or in two, show a transaction that wrote both at different moments, some
// milliseconds apart. What must change together is one value or one tree.
//
// What Get returns is shared: it is read-only where it holds maps, slices and pointers.
//
// A permission that is taken away ends a Value within some 30 s, with an error in Changes and Snapshot; it keeps what it has, and a program
// that gets its right back watches anew. So does one whose cluster was restored from a backup (session.ErrRewound). A last good file stays
// where it is.
//
// The history knows writes through a Store. What etcdctl writes is no version of its own, but the next write records what it replaced.
// Reports, history and last good files hold what the values hold, and reasons of refusals can quote it.
//
// # Keys in etcd
//
//	<prefix>/config/<name>                              a value; <prefix>/config/<name>/<path> a key of a tree
//	<prefix>/confighistory/<name>/@/<20 digits>         its versions, with "/<id>" behind what did not fit into one
//	<prefix>/confighistory/<name>/@/head                the number of the newest
//	<prefix>/configstatus/<name>/@/<lease in hex>/<id>  who runs it, under the session's lease
//
// History and reports of a tree have "@.tree" in the place of "@": a tree and a single value of one name know nothing of each other.
// WithKey puts a value at any other key; history and reports stay where they are. To read a value, the user needs the read permission for the
// keys beside it, too (<prefix>/config/app/ for "app/api"); for a tree, for those below it; with WithKey, for that key alone. What else needs
// which permission is in docs/permissions.md.
//
// # Cost
//
// Values that differ only in the last segment of their names share one watch, which holds all keys beside them in memory, once per session, and
// a name of one segment shares that of all names; a tree has one of its own. Nothing but WithReport needs a lease, and it is one put for
// each change, a second apart at least. A tree is decoded as a whole on each change.
//
// A write is two requests, three if a tree is checked or some of its keys are absent, one more if the version does not fit beside the value.
// It carries 1 MiB and 120 keys at most (ErrTooLarge), and its version has its values again, compressed. A value that somebody wrote past the
// store can be as large as etcd takes.
package config
