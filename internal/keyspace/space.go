package keyspace

import (
	"strconv"
	"strings"
)

// own is the segment under which the things of a name stand. No escaped name has a segment that begins like it.
const own = "@"

// sessions is the kind of the keys that say who a session is. They are named by lease, so no package uses the kind for names.
const sessions = "session"

// Space is the part of etcd's keys that stands under one prefix. Make it with New.
type Space struct {
	prefix string
}

// New returns the space under the prefix, which is used as it is. It refuses a prefix that is empty, has an empty segment (a
// slash at its end, two in a row; one at its start is fine), a NUL byte or invalid UTF-8, or is too long.
func New(prefix string) (Space, error) {
	if why := prefixFault(prefix); why != "" {
		return Space{}, &badNameError{what: "prefix", value: prefix, why: why}
	}
	return Space{prefix: prefix}, nil
}

// Name returns the key of a name. The kind is one segment that needs no escape, the same for all names of one package.
func (s Space) Name(kind, name string) (string, error) {
	if why := nameFault(name); why != "" {
		return "", &badNameError{what: kind + " name", value: name, why: why}
	}
	return s.Kind(kind) + escape(name), nil
}

// Line returns the key below which everything stands that belongs to a name: a slash and a slot follow it. It has no slash at its
// end because that is how etcd's own Mutex wants to be given the same line.
func (s Space) Line(kind, name string) (string, error) {
	key, err := s.Name(kind, name)
	if err != nil {
		return "", err
	}
	return key + "/" + own, nil
}

// Kind returns the prefix that the keys of all names of a kind have, with its slash: its range is up to End.
func (s Space) Kind(kind string) string { return s.prefix + "/" + kind + "/" }

// Session returns the key that says who holds the lease. The lease is in hex, as etcdctl prints it.
func (s Space) Session(lease int64) string {
	return s.Kind(sessions) + strconv.FormatInt(lease, 16)
}

// Parse takes apart a key of the kind: the name, and what stands behind the reserved segment ("" for the key of the name itself).
// It is false for every key that Name, or Line and a slot, would not have spelled like this; such a key is somebody else's.
func (s Space) Parse(kind, key string) (name, rest string, ok bool) {
	path, ok := strings.CutPrefix(key, s.Kind(kind))
	if !ok {
		return "", "", false
	}
	// No escaped name contains the separator, so the first one is where the name ends.
	escaped, rest, owned := strings.Cut(path, "/"+own+"/")
	if owned && rest == "" {
		return "", "", false // nothing behind the separator would read like the key of the name itself
	}
	name, ok = unescape(escaped)
	if !ok || nameFault(name) != "" {
		return "", "", false
	}
	return name, rest, true
}

// End returns the key just behind all keys that begin with the prefix.
func End(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return "\x00" // etcd's word for the end of all keys
}
