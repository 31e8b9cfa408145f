package config

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Version is one write in the history of a value.
type Version struct {
	Number   int64 // counts the writes of this value
	Revision int64 // etcd's, in which value and version were written together
	Time     time.Time
	Author   string
	Comment  string
	Edits    []Edit // in the order of their paths
}

// Edit is what a write did to one path, which is "" in a single value. Nil is absence.
type Edit struct {
	Path          string
	Before, After []byte
	// Unknown says that Before is not known: in the oldest version, in one that follows on a version that cannot be read or is gone, and
	// where what was written past the store was too large to be kept.
	Unknown bool
}

// History returns the versions that are kept, the newest first. It does not depend on etcd's own history, which compaction drops. What
// somebody wrote past the store is no version, but it is in Before of the next one.
func (s *Store) History(ctx context.Context) ([]Version, error) {
	if s.bad != nil {
		return nil, s.wrap(s.bad)
	}
	all, err := s.history(ctx)
	if err != nil {
		return nil, s.wrap(fmt.Errorf("history: %w", err))
	}
	slices.Reverse(all.list)
	return all.list, nil
}

// history returns the versions. Records that cannot be read are skipped.
func (s *Store) history(ctx context.Context) (all versions, err error) {
	p, err := readPrefix(ctx, s.hub, s.line)
	if err != nil {
		return all, err
	}
	parts := map[string][]byte{} // by what stands behind the line
	for _, kv := range p.Keys {
		parts[strings.TrimPrefix(string(kv.Key), s.line)] = kv.Value
	}
	known := map[string]content{} // what the versions up to last left, by path
	last := int64(0)
	for _, kv := range p.Keys {
		number, ok := s.number(string(kv.Key))
		if !ok {
			continue
		}
		all.newest = number
		rec, err := readRecord(kv.Value, func(id string) []byte { return parts[fmt.Sprintf("%020d/%s", number, id)] })
		if err != nil {
			s.hub.Log.Warn("config skips a version that it cannot read", "name", s.place.name, "version", number, "error", err)
			continue
		}
		if number != last+1 {
			clear(known) // what is missing may have written anything
		}
		last = number
		v := Version{Number: number, Revision: kv.ModRevision, Time: rec.Time, Author: rec.Author, Comment: rec.Comment}
		for _, path := range slices.Sorted(maps.Keys(rec.Changes)) {
			c := rec.Changes[path]
			before, ok := known[path] // of the version just before: else it is recorded
			if c.Before != nil {
				before, ok = *c.Before, true
			}
			e := Edit{Path: path, After: c.After.bytes(), Unknown: !ok || before.Dropped}
			if !e.Unknown {
				e.Before = before.bytes()
			}
			v.Edits = append(v.Edits, e)
			known[path] = c.After
		}
		all.list = append(all.list, v)
	}
	var h headRecord
	if decode(parts[headSlot], &h) == nil {
		all.newest = max(all.newest, h.Version)
	}
	return all, nil
}

// readRecord decodes a record, whose changes may stand in a part.
func readRecord(data []byte, part func(id string) []byte) (rec record, err error) {
	if err := decode(data, &rec); err != nil || rec.Part == "" {
		return rec, err
	}
	var changes record
	if err := decode(part(rec.Part), &changes); err != nil {
		return rec, fmt.Errorf("its part: %w", err)
	}
	rec.Changes = changes.Changes
	return rec, nil
}
