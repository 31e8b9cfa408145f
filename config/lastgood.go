package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"etcdkit/internal/lastgood"
)

// lastGood is a last good file: what was accepted, as it stood in etcd. It is decoded again when it is used, since the program may be another
// version by then.
type lastGood struct {
	path string

	Format   int               `json:"format"`
	Name     string            `json:"name"`
	Key      string            `json:"key"`
	Revision int64             `json:"revision"`
	Saved    time.Time         `json:"saved"`
	Values   map[string][]byte `json:"values"` // by path; none if there was nothing in etcd
	Checksum string            `json:"sha256"` // of the same with this empty
}

// errForeign says that a file is none that this value may replace.
var errForeign = errors.New("it is not replaced")

// load reads the last good file.
func (f *follower) load() (*lastGood, error) {
	path := *f.opts.lastGood
	data, err := lastgood.Read(path)
	switch {
	case errors.Is(err, lastgood.ErrNoFile):
		return nil, fmt.Errorf("last good file: %w: %w", errForeign, err)
	case err != nil:
		return nil, fmt.Errorf("last good file: %w", err)
	}
	good := &lastGood{path: path}
	err = json.Unmarshal(data, good)
	if len(data) > 0 {
		err = cmp.Or(f.mine(data), err)
	}
	switch {
	case err != nil:
	case good.Format != 1:
		err = fmt.Errorf("format %d is not known", good.Format)
	case good.Checksum != good.sum():
		err = errors.New("its checksum is wrong: it was damaged or edited")
	}
	if err != nil {
		return nil, fmt.Errorf("last good file %q: %w", path, err)
	}
	return good, nil
}

// mine tells why a file is not a last good file of this value, if it is none. One that is damaged, or of a later format, is.
func (f *follower) mine(data []byte) error {
	type head struct {
		Format int    `json:"format"`
		Name   string `json:"name"`
		Key    string `json:"key"`
	}
	want, err := json.Marshal(head{1, f.name, f.place.key})
	if err != nil {
		panic("config: a last good file is always valid JSON: " + err.Error())
	}
	var h head
	switch err := json.Unmarshal(data, &h); {
	case bytes.HasPrefix(data, want[:len(want)-1]): // it begins as write makes it, whatever became of the rest
		return nil
	case err != nil || h.Format == 0 || h.Key == "":
		return fmt.Errorf("it is no last good file; %w", errForeign)
	case h.Name != f.name || h.Key != f.place.key:
		return fmt.Errorf("it is that of %q at key %q; %w", h.Name, h.Key, errForeign)
	}
	return nil
}

func (g *lastGood) sum() string {
	bare := *g
	bare.Checksum = ""
	data, err := json.Marshal(bare)
	if err != nil {
		panic("config: a last good file is always valid JSON: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// view makes a view of the file, if it is still good.
func (g *lastGood) view(d *decoder) (*view, error) {
	v := &view{revision: g.Revision, raw: g.Values, saved: g.Saved}
	var err error
	if len(g.Values) == 0 {
		v.value, err = d.fallback()
		return v, err
	}
	v.value, _, err = d.decode(g.Values)
	return v, err
}

// holds tells whether the file says what a view does.
func (g *lastGood) holds(v *view) bool {
	return g != nil && g.Revision == v.revision && maps.EqualFunc(g.Values, v.raw, bytes.Equal)
}

// write replaces the file by one with what a view was made from: whole or not at all, also when the machine stops.
func (f *follower) write(v *view) (*lastGood, error) {
	good := &lastGood{
		path: *f.opts.lastGood, Format: 1, Name: f.name, Key: f.place.key,
		Revision: v.revision, Saved: time.Now().UTC().Truncate(time.Millisecond), Values: v.raw,
	}
	good.Checksum = good.sum()
	data, err := json.Marshal(good)
	if err == nil {
		err = lastgood.Replace(good.path, append(data, '\n'), f.mine)
	}
	if err != nil {
		return nil, fmt.Errorf("last good file: %w", err)
	}
	return good, nil
}
