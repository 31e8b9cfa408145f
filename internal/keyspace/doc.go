// Package keyspace turns names into keys and back. It is the one place where a key of the kit is spelled.
//
// # Guarantees
//
// Two names never share a key, and no range of one reaches into the other: "jobs" and "jobs/1" are strangers. A name that needs no
// escape stands in its key as it is, so that keys can be read and written by hand. Parse is the exact inverse: what it accepts,
// Name and Line would have spelled in the same way.
//
// # Keys in etcd
//
//	<prefix>/<kind>/<name>              a name itself
//	<prefix>/<kind>/<name>/@/<rest>     what belongs to it
//	<prefix>/session/<lease in hex>     who a session is
//
// A name is a path: segments of any text, with single slashes between them. In its key these are written as %XX, byte by byte: "%",
// control characters, bytes that are not UTF-8, and a leading "@" of a segment. The last keeps the segment "@" free for
// what belongs to a name.
//
// # Not guaranteed
//
// Prefixes are taken verbatim, and one may lie inside another ("prod" and "prod/lock"): their keys can meet. Names are compared
// byte by byte: two spellings of one letter, composed and decomposed, are two names.
package keyspace
