package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"etcdkit/internal/lastgood"
)

// file is a last good file: a list, and when it was last known to be true.
type file struct {
	Format    int       `json:"format"`
	Kind      string    `json:"kind"`
	Service   string    `json:"service"`
	Prefix    string    `json:"prefix"` // of the keys
	Revision  int64     `json:"revision"`
	Known     time.Time `json:"known"` // when it was last known to be true
	Instances []saved   `json:"instances"`
	Checksum  string    `json:"sha256"` // of the same with this empty
}

// saved is an instance in a file.
type saved struct {
	record
	Revision  int64      `json:"revision"`
	Gone      *time.Time `json:"gone,omitempty"`      // when it vanished
	Probation *time.Time `json:"probation,omitempty"` // until when it is kept all the same
}

const fileKind = "etcdkit discovery"

var errForeign = errors.New("it is no last good file of a service")

// parseFile reads what may be the file of this view. usable is why a file that is ours cannot be used.
func (v *View) parseFile(data []byte) (f *file, foreign, unusable error) {
	f = new(file)
	if err := json.Unmarshal(data, f); err != nil || f.Kind != fileKind {
		return nil, errForeign, nil
	}
	if f.Service != v.service || f.Prefix != v.source.prefix {
		return nil, fmt.Errorf("it is that of the service %q with the keys below %q", f.Service, f.Prefix), nil
	}
	switch {
	case f.Format != 1:
		return nil, nil, fmt.Errorf("format %d is not known", f.Format)
	case f.Checksum != f.sum():
		return nil, nil, errors.New("its checksum is wrong: it was damaged or edited")
	}
	return f, nil, nil
}

func (f *file) sum() string {
	bare := *f
	bare.Checksum = ""
	sum := sha256.Sum256(bare.encode())
	return hex.EncodeToString(sum[:])
}

func (f *file) encode() []byte {
	data, err := json.Marshal(f)
	if err != nil {
		panic("discovery: a last good file is always valid JSON: " + err.Error())
	}
	return data
}

// load reads the last good file. One of another service is an error: both would write it.
func (v *View) load() error {
	if v.opts.lastGood == nil {
		return nil
	}
	path := *v.opts.lastGood
	data, err := lastgood.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, lastgood.ErrNoFile):
		return fmt.Errorf("last good file: %w", err)
	case err != nil:
		v.hub.Log.Warn("discovery cannot use its last good file", "service", v.service, "error", err)
		return nil
	case len(data) == 0:
		return nil
	}
	f, foreign, unusable := v.parseFile(data)
	if foreign != nil {
		return fmt.Errorf("last good file %s: %w", path, foreign)
	}
	if unusable != nil {
		v.hub.Log.Warn("discovery cannot use its last good file", "service", v.service, "path", path, "error", unusable)
		return nil
	}
	v.file, v.sum = f, f.Checksum
	return nil
}

// boot takes the last good file, because of err.
func (v *View) boot(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.begun {
		return // etcd has answered meanwhile
	}
	b := &v.book
	for _, s := range v.file.Instances {
		if s.check() != nil {
			continue
		}
		e := &entry{Instance: s.Instance, state: s.State, ttl: s.ttl(v.hub.TTL), mod: s.Revision}
		b.put(e)
		if s.Gone != nil && s.Probation != nil {
			e.gone = *s.Gone
			b.hold(e, *s.Probation)
		}
	}
	b.revision, b.since, b.why = v.file.Revision, v.file.Known, err
	v.publishLocked()
	v.hub.Log.Warn("discovery starts from its last good file", "service", v.service, "known", v.file.Known, "instances", len(b.entries), "error", err)
}

// newFileLocked returns what is to stand in the file.
func (v *View) newFileLocked(now time.Time) (*file, []*entry) {
	f := &file{Format: 1, Kind: fileKind, Service: v.service, Prefix: v.source.prefix, Revision: v.book.revision, Known: v.book.since}
	if f.Known.IsZero() {
		f.Known = now
	}
	f.Known = f.Known.UTC().Round(time.Millisecond)
	all := make([]*entry, 0, len(v.book.entries))
	for _, e := range v.book.entries {
		all = append(all, e)
	}
	return f, all
}

// fill adds the instances, in the order of their IDs.
func (f *file) fill(all []*entry, until map[string]time.Time) {
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.ID, b.ID) })
	for _, e := range all {
		s := saved{record: record{Format: 1, Instance: e.Instance, State: e.state, TTL: int64(e.ttl / time.Second)}, Revision: e.mod}
		if end, ok := until[e.ID]; ok {
			s.Gone, s.Probation = &e.gone, &end
		}
		f.Instances = append(f.Instances, s)
	}
	f.Checksum = f.sum()
}
