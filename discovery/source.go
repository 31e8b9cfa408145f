package discovery

import (
	"strings"
	"time"

	"etcdkit/internal/hub"
	"etcdkit/internal/mirror"
)

// kind is the segment under which services stand.
const kind = "discovery"

// source is where the records of a service stand, and how they are read.
type source struct {
	prefix string // of the keys, with its slash
	decode func(id string, value []byte) (*record, error)
	nested bool // what follows the prefix may be anything
}

// newSource returns the source of a service: the kit's own records, or those of etcd's naming below a target.
func newSource(h *hub.Hub, service string, endpoints *string) (source, error) {
	line, err := h.Keys.Line(kind, service)
	if err != nil {
		return source{}, err
	}
	if endpoints != nil {
		return source{prefix: *endpoints + "/", decode: decodeEndpoint, nested: true}, nil
	}
	return source{prefix: line + "/", decode: decodeRecord}, nil
}

// id returns whose key it is, and why it is nobody's.
func (s source) id(key string) (string, error) {
	id := strings.TrimPrefix(key, s.prefix)
	if s.nested {
		return id, nil
	}
	return id, checkID(id)
}

// reading is a key as it was read.
type reading struct {
	key string
	entry
	err error // why it is no instance
}

// read reads a key. ttl is that of records that do not tell theirs.
func (s source) read(item *mirror.Item, ttl time.Duration) reading {
	r := reading{key: item.Key}
	id, err := s.id(item.Key)
	if err != nil {
		r.err = err
		return r
	}
	rec, err := s.decode(id, item.Value)
	if err != nil {
		r.ID, r.err = id, err
		return r
	}
	r.entry = entry{Instance: rec.Instance, state: rec.State, ttl: rec.ttl(ttl), mod: item.ModRevision}
	return r
}
