package config

import (
	"fmt"
	"strings"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/internal/mirror"
)

func checkKey(key string) error { return keyspace.CheckKey(key) }

// place is where a value stands in etcd.
type place struct {
	keys  keyspace.Space
	name  string
	key   string // of the value; a tree's keys begin with it and a slash
	tree  bool
	exact bool // the key was given, and is not made from the name
}

// prefix is what a tree's keys begin with.
func (p place) prefix() string { return p.key + "/" }

// line returns what the keys of a kind begin with that stand beside the value. Those of a tree are apart from those of the single value of
// that name: a history of both would be one of neither.
func (p place) line(kind string) (string, error) {
	line, err := p.keys.Line(kind, p.name)
	if p.tree {
		line += treeLine
	}
	return line + "/", err
}

// span returns the first key of all that belongs to the value, and the one behind the last; "" if it is one key.
func (p place) span() (key, end string) {
	if p.tree {
		return p.prefix(), keyspace.End(p.prefix())
	}
	return p.key, ""
}

// path returns what a key is within the value: "" for the key of a single value. It is false for a key that is none of ours:
// nothing that this package writes is spelled like it.
func (p place) path(key string) (string, bool) {
	if !p.tree {
		return "", key == p.key
	}
	if p.exact {
		path, ok := strings.CutPrefix(key, p.prefix())
		return path, ok && checkPath(path) == nil
	}
	full, rest, ok := p.keys.Parse(kind, key)
	path, below := strings.CutPrefix(full, p.name+"/")
	return path, ok && below && rest == ""
}

// keyOf is the inverse of path.
func (p place) keyOf(path string) (string, error) {
	if !p.tree {
		if path != "" {
			return "", fmt.Errorf("path %q: a single value has none", path)
		}
		return p.key, nil
	}
	if p.exact {
		return p.prefix() + path, checkPath(path)
	}
	return p.keys.Name(kind, p.name+"/"+path)
}

// checkPath finds what cannot be a path below a key that a user gave.
func checkPath(path string) error {
	_, err := new(keyspace.Space).Name("path", path)
	return err
}

// mirror returns the mirror that the value is served from, and what gives it back. All values that differ only in the last segment
// of their names share one, so that a thousand of them cost one watch.
func (p place) mirror(h *hub.Hub) (m *mirror.Mirror, release func()) {
	switch {
	case p.tree:
		return h.Mirror(p.prefix())
	case p.exact:
		return h.MirrorKey(p.key)
	default:
		return h.Mirror(p.key[:strings.LastIndexByte(p.key, '/')+1])
	}
}
