package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"etcdkit/internal/mirror"
	"etcdkit/session"
)

// apply brings an update in. It returns why nothing more can be brought in after it.
func (f *follower) apply(u *mirror.Update) error {
	revision, touched := f.take(u)
	for {
		last := f.newest()
		if last != nil {
			booted := !last.saved.IsZero()
			if booted && u.Revision < last.revision {
				return fmt.Errorf("%w: from revision %d, which the last good file has, to %d", session.ErrRewound, last.revision, u.Revision)
			}
			if !booted && !touched { // only keys that are none of ours, or only that etcd is out of reach, or in reach again
				if f.turn(last, u.StaleSince) {
					return nil
				}
				continue
			}
		}
		now, unknown := f.next(last, revision, u.Revision)
		now.since = u.StaleSince
		if now.value == nil { // the first one is refused: with a last good file, that is what it follows on
			if err := f.boot(now.refused); err != nil {
				return err
			}
			continue
		}
		if f.replace(last, now) {
			f.log(last, now, unknown)
			return nil
		}
	}
}

// turn notes since when the value is stale. It is false if last is not the newest any more.
func (f *follower) turn(last *view, since time.Time) bool {
	if since.IsZero() == last.since.IsZero() {
		return true
	}
	now := *last
	now.since = since
	return f.replace(last, &now)
}

// take notes what stands in etcd now. It returns the revision of that, and whether anything of ours is in the update.
func (f *follower) take(u *mirror.Update) (revision int64, touched bool) {
	if f.items == nil {
		f.items = make(map[string]*mirror.Item, len(u.Puts)) // the first update has all of them
	}
	for _, item := range u.Deletes {
		if path, ok := f.place.path(item.Key); ok {
			delete(f.items, path)
			revision, touched = u.Revision, true // the delete's own is not told; it is not above this
		}
	}
	for _, put := range u.Puts {
		path, ok := f.place.path(put.Key)
		if !ok {
			if !f.junk {
				f.hub.Log.Warn("config skips keys that no name is spelled like", "name", f.name, "first", put.Key)
			}
			f.junk = true
			continue
		}
		f.items[path] = put.Item
		revision, touched = max(revision, put.ModRevision), true
	}
	return revision, touched
}

// next makes the view that follows on last, which is nil before the first one. Its value is nil if there is none. What stands in etcd was
// written at the revision, and read at one that is not below it.
func (f *follower) next(last *view, revision, read int64) (now *view, unknown []string) {
	now = new(view)
	if last != nil {
		*now = *last
		revision, read = max(revision, last.newest()), max(read, last.newest())
	}
	now.refused, now.saved = nil, time.Time{}
	if len(f.items) == 0 {
		f.gone(last, now, read)
		return now, nil
	}
	now.deleted = false
	raw := make(map[string][]byte, len(f.items))
	for path, item := range f.items {
		raw[path] = item.Value
	}
	value, unknown, err := f.decoder.decode(raw)
	if err != nil {
		now.refused = &RefusedError{Revision: revision, Err: err}
		return now, nil
	}
	now.value, now.raw, now.revision = value, raw, revision
	return now, unknown
}

// gone is next where nothing stands in etcd.
func (f *follower) gone(last, now *view, revision int64) {
	if last == nil {
		value, err := f.decoder.fallback()
		if err != nil {
			now.refused = &RefusedError{Revision: revision, Err: fmt.Errorf("nothing stands in etcd, and %w", err)}
			return
		}
		now.value = value
		return
	}
	if len(last.raw) == 0 { // nothing was there, or what was there was refused
		if last.newest() > 0 {
			now.revision = revision
		}
		return
	}
	now.deleted, now.revision = true, revision
	if !f.opts.resets {
		return
	}
	value, err := f.decoder.fallback()
	if err != nil {
		now.refused = &RefusedError{Revision: revision, Err: fmt.Errorf("it is deleted, and %w", err)}
		return
	}
	now.value, now.raw = value, nil
}

// log tells what an operator would want to know of a step. It says no values: they may be secret.
func (f *follower) log(last, now *view, unknown []string) {
	log := f.hub.Log.With("name", f.name)
	switch {
	case now.refused != nil:
		log.Warn("config update refused", "revision", now.refused.Revision, "error", now.refused.Err)
	case now.deleted && !last.deleted:
		log.Warn("config is deleted", "revision", now.revision, "reset", f.opts.resets)
	default:
		log.Info("config read", "revision", now.revision)
	}
	if len(unknown) > 0 {
		log.Warn("config has unknown fields", "revision", now.revision, "fields", strings.Join(unknown, ", "))
	}
}

// bootError says why a last good file was to be used, and why it cannot be.
type bootError struct{ because, unusable error }

func (e *bootError) Error() string   { return fmt.Sprintf("%v; %v", e.because, e.unusable) }
func (e *bootError) Unwrap() []error { return []error{e.because, e.unusable} }

// boot takes the last good file, because of err, which it returns if there is no such file.
func (f *follower) boot(err error) error {
	var tried *bootError
	if f.opts.lastGood == nil || errors.As(err, &tried) {
		return err
	}
	good, unusable := f.file()
	if unusable != nil {
		return &bootError{err, unusable}
	}
	now, unusable := good.view(f.decoder)
	if unusable != nil {
		return &bootError{err, fmt.Errorf("last good file %q: %w", good.path, unusable)}
	}
	if f.replace(nil, now) { // else etcd has answered meanwhile
		f.hub.Log.Warn("config starts from its last good file", "name", f.name, "revision", now.revision, "saved", now.saved, "error", err)
	}
	return nil
}
