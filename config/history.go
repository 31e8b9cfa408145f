package config

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
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

// Edit is what a write did to one path, which is "" in a single value. Nil is absence; Before is nil too where it is not known: in the
// oldest version, and where what was written past the store was too large to be kept.
type Edit struct {
	Path          string
	Before, After []byte

	dropped bool // Before is not known
}

// History returns the versions that are kept, the newest first. It does not depend on etcd's own history, which compaction drops. What
// somebody wrote past the store is no version, but it is in Before of the next one.
func (s *Store) History(ctx context.Context) ([]Version, error) {
	if s.bad != nil {
		return nil, s.wrap(s.bad)
	}
	versions, err := s.history(ctx)
	if err != nil {
		return nil, s.wrap(fmt.Errorf("history: %w", err))
	}
	slices.Reverse(versions)
	return versions, nil
}

// history returns the versions, the oldest first. Records that cannot be read are skipped.
func (s *Store) history(ctx context.Context) ([]Version, error) {
	p, err := readPages(ctx, s.hub, s.line, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	parts := map[string][]byte{} // by what stands behind the line
	for _, kv := range p.kvs {
		parts[strings.TrimPrefix(string(kv.Key), s.line)] = kv.Value
	}
	var versions []Version
	known := map[string]content{} // what the versions so far left, by path
	for _, kv := range p.kvs {
		number, ok := s.number(string(kv.Key))
		if !ok {
			continue
		}
		rec, err := readRecord(kv.Value, func(id string) []byte { return parts[fmt.Sprintf("%020d/%s", number, id)] })
		if err != nil {
			s.hub.Log.Warn("config skips a version that it cannot read", "name", s.place.name, "version", number, "error", err)
			continue
		}
		v := Version{Number: number, Revision: kv.ModRevision, Time: rec.Time, Author: rec.Author, Comment: rec.Comment}
		for _, path := range slices.Sorted(maps.Keys(rec.Changes)) {
			c := rec.Changes[path]
			before, ok := known[path] // of the version just before: else it is recorded
			if c.Before != nil {
				before, ok = *c.Before, true
			}
			e := Edit{Path: path, After: c.After.bytes(), dropped: !ok}
			if ok {
				e.Before, e.dropped = before.bytes(), before.Dropped
			}
			v.Edits = append(v.Edits, e)
			known[path] = c.After
		}
		versions = append(versions, v)
	}
	return versions, nil
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

// Diff tells how the value of version a becomes that of version b, line by line; zero is what stands there now. Of a tree it tells of the
// paths that the versions in between wrote.
func (s *Store) Diff(ctx context.Context, a, b int64) (string, error) {
	if s.bad != nil {
		return "", s.wrap(s.bad)
	}
	from, to, err := s.both(ctx, a, b)
	if err != nil {
		return "", s.wrap(fmt.Errorf("diff: %w", err))
	}
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(from)) {
		diff := Diff(from[path], to[path])
		if diff != "" && path != "" {
			fmt.Fprintf(&text, "%s:\n", path)
		}
		text.WriteString(diff)
	}
	return text.String(), nil
}

// both returns what stood under the same paths in two versions.
func (s *Store) both(ctx context.Context, a, b int64) (from, to map[string][]byte, err error) {
	versions, err := s.history(ctx)
	if err != nil {
		return nil, nil, err
	}
	now, _, err := s.readAll(ctx)
	if err != nil {
		return nil, nil, err
	}
	if from, err = stood(versions, now, a); err != nil {
		return nil, nil, err
	}
	to, err = stood(versions, now, b)
	return from, to, err
}

// Rollback writes what the version had, as a new version, if nobody writes in between, and returns the new revision. In a tree it
// undoes what the versions after that one did, path by path; what was only ever written past the store stays.
func (s *Store) Rollback(ctx context.Context, version int64, opts ...PutOption) (int64, error) {
	if s.bad != nil {
		return 0, s.wrap(s.bad)
	}
	now, rev, err := s.readAll(ctx) // first: what is written after it is a conflict
	if err != nil {
		return 0, s.wrap(fmt.Errorf("rollback: %w", err))
	}
	versions, err := s.history(ctx)
	if err != nil {
		return 0, s.wrap(fmt.Errorf("rollback: %w", err))
	}
	if version == 0 {
		return 0, s.wrap(noVersion(versions, version))
	}
	then, err := stood(versions, now, version)
	if err != nil {
		return 0, s.wrap(fmt.Errorf("rollback: %w", err))
	}
	for path, value := range then {
		if same(value, now[path]) {
			delete(then, path)
		}
	}
	if len(then) == 0 {
		return rev, nil // it is what stands there
	}
	opts = append([]PutOption{WithComment(fmt.Sprintf("rollback to version %d", version))}, opts...)
	return s.put(ctx, rev, then, opts)
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }

// stood returns what a version left under each path that the history knows; zero is what stands there now.
func stood(versions []Version, now map[string][]byte, number int64) (map[string][]byte, error) {
	i := slices.IndexFunc(versions, func(v Version) bool { return v.Number == number })
	if i < 0 && number != 0 {
		return nil, noVersion(versions, number)
	}
	state := map[string][]byte{}
	for j, v := range versions {
		for _, e := range v.Edits {
			_, known := state[e.Path]
			switch {
			case number == 0:
				state[e.Path] = now[e.Path]
			case j <= i:
				state[e.Path] = e.After
			case !known && !e.dropped: // what the first write after it found
				state[e.Path] = e.Before
			}
		}
	}
	return state, nil
}

func noVersion(versions []Version, number int64) error {
	if len(versions) == 0 {
		return fmt.Errorf("there is no version %d: the history is empty", number)
	}
	return fmt.Errorf("there is no version %d: the history has %d to %d", number, versions[0].Number, versions[len(versions)-1].Number)
}
