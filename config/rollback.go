package config

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Diff tells how the value of version a becomes that of version b, line by line; zero is what stands there now. Of a tree it tells of the
// paths that the versions in between wrote. It says so where that is not known, since versions are missing.
func (s *Store) Diff(ctx context.Context, a, b int64) (string, error) {
	if s.bad != nil {
		return "", s.wrap(s.bad)
	}
	from, to, err := s.both(ctx, a, b)
	if err != nil {
		return "", s.wrap(fmt.Errorf("diff: %w", err))
	}
	var text strings.Builder
	unknown := map[string]bool{} // of all paths, of which both know the same
	for path := range from.values {
		unknown[path] = to.unknown[path]
	}
	for path := range from.unknown {
		unknown[path] = true
	}
	for _, path := range slices.Sorted(maps.Keys(unknown)) {
		diff := Diff(from.values[path], to.values[path])
		if unknown[path] {
			diff = "not known: versions are missing\n"
		}
		if diff != "" && path != "" {
			fmt.Fprintf(&text, "%s:\n", path)
		}
		text.WriteString(diff)
	}
	if s.place.tree && from.missing != to.missing {
		fmt.Fprintf(&text, "what version %d wrote is not known\n", max(from.missing, to.missing))
	}
	return text.String(), nil
}

// both returns what stood in two versions.
func (s *Store) both(ctx context.Context, a, b int64) (from, to past, err error) {
	all, now, err := s.told(ctx)
	if err != nil {
		return from, to, err
	}
	if from, err = all.stood(now, a); err != nil {
		return from, to, err
	}
	to, err = all.stood(now, b)
	return from, to, err
}

// told reads what stands there now, and the versions.
func (s *Store) told(ctx context.Context) (all versions, now standing, err error) {
	if now, err = s.stands(ctx); err != nil { // first: what is written after it is a conflict
		return all, now, err
	}
	all, err = s.history(ctx)
	return all, now, err
}

// Rollback writes what the version had, as a new version, if nobody writes in between, and returns the new revision. In a tree it
// undoes what the versions after that one did, path by path; what was only ever written past the store stays. If that is what stands there
// already, it writes nothing and returns ErrUnchanged; what is not known, since versions are missing or what somebody wrote past the
// store was too large to be kept, is an error too.
func (s *Store) Rollback(ctx context.Context, version int64, opts ...PutOption) (int64, error) {
	if s.bad != nil {
		return 0, s.wrap(s.bad)
	}
	all, now, err := s.told(ctx)
	if err != nil {
		return 0, s.wrap(fmt.Errorf("rollback: %w", err))
	}
	then, err := s.restore(all, now, version)
	if err != nil {
		return 0, s.wrap(fmt.Errorf("rollback to version %d: %w", version, err))
	}
	opts = append([]PutOption{WithComment(fmt.Sprintf("rollback to version %d", version))}, opts...)
	return s.put(ctx, now.revision, then, opts)
}

// restore returns what has to be written for the paths to be what a version left.
func (s *Store) restore(all versions, now standing, number int64) (map[string][]byte, error) {
	if number == 0 {
		return nil, all.none(number)
	}
	then, err := all.stood(now, number)
	switch {
	case err != nil:
		return nil, err
	case s.place.tree && then.missing != 0:
		return nil, fmt.Errorf("version %d is missing in the history, and what it wrote is not known", then.missing)
	case len(then.unknown) > 0:
		return nil, fmt.Errorf("what it had is not known%s", of(slices.Sorted(maps.Keys(then.unknown))))
	}
	maps.DeleteFunc(then.values, func(path string, value []byte) bool { return same(value, now.values[path]) })
	if len(then.values) == 0 {
		return nil, ErrUnchanged
	}
	return then.values, nil
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }

// of names paths, unless it is that of a single value.
func of(paths []string) string {
	if slices.Equal(paths, []string{""}) {
		return ""
	}
	return ": " + some(paths)
}
