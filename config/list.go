package config

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// Info is one name that has a value, as List finds it.
type Info struct {
	Name     string
	Revision int64 // in which it was written
}

// List returns the names below a name ("app" finds "app/api"), all of them below "", in the order of their keys. It reads in pages at one
// revision, and no values. Values at a key of their own (WithKey) are not among them.
func List(ctx context.Context, s *session.Session, below string) ([]Info, error) {
	h := s.Hub()
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("config: list: %w", err)
	}
	prefix := h.Keys.Kind(kind)
	if below != "" {
		key, err := h.Keys.Name(kind, below)
		if err != nil {
			return nil, wrap(below, err)
		}
		prefix = key + "/"
	}
	p, err := readPrefix(ctx, h, prefix, clientv3.WithKeysOnly())
	if err != nil {
		return nil, fmt.Errorf("config: list: %w", err)
	}
	var list []Info
	for _, kv := range p.Keys {
		if name, rest, ok := h.Keys.Parse(kind, string(kv.Key)); ok && rest == "" {
			list = append(list, Info{Name: name, Revision: kv.ModRevision})
		}
	}
	return list, nil
}
