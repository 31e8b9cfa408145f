package lock

import "etcdkit/internal/keyspace"

// options of a lock or a semaphore.
type options struct {
	key *string
}

// Option changes a default of NewMutex, NewRWMutex or NewSemaphore.
type Option func(*options)

// WithKey puts the lock at an exact etcd key instead of one made from the prefix and the name, which is then only what errors say. It
// is the key that concurrency.NewMutex and `etcdctl lock` take, and the lock stands in the same line as theirs, so that a
// fleet can move over one program at a time. Like theirs, it also waits for the keys of a lock whose key lies below ("a" and "a/b").
func WithKey(key string) Option { return func(o *options) { o.key = &key } }

// line returns the key of a name's line.
func (o *options) line(keys keyspace.Space, kind, name string) (string, error) {
	if o.key == nil {
		return keys.Line(kind, name)
	}
	return *o.key, keyspace.CheckKey(*o.key)
}
