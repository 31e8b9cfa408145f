package config

import (
	"context"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// headSlot is the slot of the history's newest number.
const headSlot = "head"

type headRecord struct {
	Format  int   `json:"v"`
	Version int64 `json:"version"`
}

// slot is the key of a version.
func (s *Store) slot(number int64) string { return fmt.Sprintf("%s%020d", s.line, number) }

// newest returns the newest number of the history: what the head says, or, if it is gone or broken, what the keys say.
func (s *Store) newest(ctx context.Context, kv *mvccpb.KeyValue) (int64, error) {
	var h headRecord
	if kv != nil && decode(kv.Value, &h) == nil && h.Version > 0 {
		return h.Version, nil
	}
	p, err := readPrefix(ctx, s.hub, s.line, clientv3.WithKeysOnly())
	if err != nil {
		return 0, err
	}
	newest := int64(0)
	for _, kv := range p.Keys {
		if number, ok := s.number(string(kv.Key)); ok {
			newest = max(newest, number)
		}
	}
	return newest, nil
}

// number is the inverse of slot.
func (s *Store) number(key string) (int64, bool) {
	if len(key) < len(s.line) {
		return 0, false
	}
	number, err := strconv.ParseInt(key[len(s.line):], 10, 64)
	return number, err == nil && number > 0 && key == s.slot(number)
}
