package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"etcdkit/internal/hub"
	"etcdkit/session"
)

// AnyRevision as the revision of a write means: whatever stands there now.
const AnyRevision int64 = -1

const defaultKeep = 100

// Store is where a value, or a tree, is written: with compare-and-swap, and a history. It keeps no state and is safe for concurrent use.
type Store struct {
	hub   *hub.Hub
	place place
	line  string // what the keys of the history begin with
	keep  int
	bad   error // what is wrong with the name or the options: the error of every call
}

// NewStore returns the store of the value of that name. It touches nothing; a bad name is the error of the first call.
func NewStore(s *session.Session, name string, opts ...Option) *Store {
	o := newOptions(opts)
	st := &Store{hub: s.Hub(), keep: defaultKeep}
	if o.keep != nil {
		st.keep = *o.keep
	}
	if st.bad = st.hub.Check(); st.bad != nil {
		return st
	}
	if st.bad = o.checkStore(); st.bad != nil {
		return st
	}
	st.place, st.bad = o.place(st.hub, name)
	if st.bad == nil {
		st.line, st.bad = st.place.line(historyKind)
	}
	return st
}

// Key is where the value stands in etcd; the keys of a tree begin with it and a slash. It is empty if the name is bad.
func (s *Store) Key() string { return s.place.key }

// Get returns the value and the revision in which it was written, which is zero if there is none. A tree is one JSON document, and its
// revision that of the read; it is an error if no document can tell all of it: text that is not UTF-8, or a key with text and keys below it.
func (s *Store) Get(ctx context.Context) (value []byte, rev int64, err error) {
	values, rev, err := s.GetAll(ctx)
	switch {
	case err != nil || len(values) == 0:
		return nil, rev, err
	case !s.place.tree:
		return values[""], rev, nil
	}
	if value, err = newTree(values).document(); err != nil {
		return nil, 0, s.wrap(fmt.Errorf("the tree is no JSON document: %w", err))
	}
	return value, rev, nil
}

// GetAll returns the values of a tree by path, as they stood at one revision, which it returns too: a write that is based on it is refused if
// anything of that was written since. A single value has the path "" and its own revision.
func (s *Store) GetAll(ctx context.Context) (values map[string][]byte, rev int64, err error) {
	if s.bad != nil {
		return nil, 0, s.wrap(s.bad)
	}
	now, err := s.stands(ctx)
	if err != nil {
		return nil, 0, s.wrap(err)
	}
	return now.values, now.revision, nil
}

// Put writes the value if it is at that revision: zero if there must be none, AnyRevision if it does not matter. It returns the new
// revision, or a *ConflictError. If no answer came, it sends the write again until ctx ends, which is harmless, and then returns
// session.ErrUncertain.
func (s *Store) Put(ctx context.Context, rev int64, value []byte, opts ...PutOption) (int64, error) {
	if s.place.tree {
		return 0, s.wrap(errors.New("a tree is written by PutAll"))
	}
	if value == nil {
		value = []byte{}
	}
	return s.put(ctx, rev, map[string][]byte{"": value}, opts)
}

// PutAll writes several keys of a tree in one transaction, by their paths ("http/timeout"): those with nil are deleted, those that are not
// named stay. It does so if nothing of the tree was written through a store, and nothing of these keys by anybody, after that
// revision, which is one that GetAll or a write returned; zero means that no key stands below the tree, AnyRevision that it does not
// matter. What etcd has compacted since counts as a conflict if some of the keys are absent. It is like Put in all else.
func (s *Store) PutAll(ctx context.Context, rev int64, values map[string][]byte, opts ...PutOption) (int64, error) {
	if s.bad == nil && !s.place.tree {
		return 0, s.wrap(errors.New("a single value is written by Put; WithTree makes a tree"))
	}
	return s.put(ctx, rev, maps.Clone(values), opts)
}

// Delete deletes the value, or the whole tree, if it is at that revision. What was there stays in the history. Deleting what is not there is
// nothing, and no version.
func (s *Store) Delete(ctx context.Context, rev int64, opts ...PutOption) (int64, error) {
	values, _, err := s.GetAll(ctx)
	if err != nil {
		return 0, err
	}
	gone := map[string][]byte{"": nil}
	if s.place.tree {
		for path := range values {
			gone[path] = nil
		}
		delete(gone, "")
	}
	switch {
	case len(values) == 0 && rev <= 0:
		return 0, nil
	case len(gone) == 0: // a tree, which was to be there
		return 0, &ConflictError{Name: s.place.name, Rev: rev, Values: values, Yours: gone}
	}
	return s.put(ctx, rev, gone, opts)
}

func (s *Store) put(ctx context.Context, rev int64, values map[string][]byte, opts []PutOption) (int64, error) {
	if s.bad != nil {
		return 0, s.wrap(s.bad)
	}
	o := putOptions{author: s.hub.Self.Host}
	for _, opt := range opts {
		opt(&o)
	}
	w, err := s.newWrite(rev, values, o)
	if err != nil {
		return 0, s.wrap(err)
	}
	rev, err = w.run(ctx)
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return 0, conflict // it has the name
	}
	if err != nil {
		return 0, s.wrap(err)
	}
	return rev, nil
}

// standing is what stands in etcd.
type standing struct {
	values    map[string][]byte // by path; never nil, since that would mean that it is absent
	revisions map[string]int64  // in which they were written
	revision  int64             // that a write can be based on
}

// stands reads the value, or the tree.
func (s *Store) stands(ctx context.Context) (standing, error) {
	now := standing{values: map[string][]byte{}, revisions: map[string]int64{}}
	key, end := s.place.span()
	p, err := readRange(ctx, s.hub, key, end)
	if err != nil {
		return now, err
	}
	for _, kv := range p.Keys {
		if path, ok := s.place.path(string(kv.Key)); ok {
			now.values[path] = slices.Clip(append([]byte{}, kv.Value...))
			now.revisions[path], now.revision = kv.ModRevision, kv.ModRevision
		}
	}
	if s.place.tree {
		now.revision = p.Revision
	}
	return now, nil
}

// wrap puts the name of the value before an error.
func (s *Store) wrap(err error) error { return wrap(s.place.name, err) }

// PutOption says something of a write.
type PutOption func(*putOptions)

type putOptions struct {
	author  string
	comment string
	checks  []func(data []byte) error
}

// WithAuthor sets who the history says wrote it; the default is the name of this host.
func WithAuthor(author string) PutOption { return func(o *putOptions) { o.author = author } }

// WithComment sets what the history says of it.
func WithComment(comment string) PutOption { return func(o *putOptions) { o.comment = comment } }

// WithCheck refuses the write if check does, which gets the value as it would be: see Check. Of a tree that is the whole of it, with
// what the write changes, as one JSON document: if somebody writes any of it meanwhile, past the store too, the check is asked again. A key
// that is deleted past the store meanwhile is not noticed. What is deleted is not checked, unless it is a part of a tree.
func WithCheck(check func(data []byte) error) PutOption {
	return func(o *putOptions) { o.checks = append(o.checks, check) }
}

// maxText bounds author and comment, which every listing of the history reads.
const maxText = 4 << 10

func (o *putOptions) check() error {
	if n := max(len(o.author), len(o.comment)); n > maxText {
		return fmt.Errorf("%w: author or comment has %d bytes, more than %d", ErrTooLarge, n, maxText)
	}
	return nil
}
