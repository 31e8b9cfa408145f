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
	"os"
	"path/filepath"
	"runtime"
	"time"
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

// load reads the last good file.
func (f *follower) load() (*lastGood, error) {
	path := *f.opts.lastGood
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("last good file: %w", err)
	}
	good := &lastGood{path: path}
	err = json.Unmarshal(data, good)
	switch {
	case err != nil:
	case good.Format != 1:
		err = fmt.Errorf("format %d is not known", good.Format)
	case good.Checksum != good.sum():
		err = errors.New("its checksum is wrong: it was damaged or edited")
	case good.Name != f.name || good.Key != f.place.key:
		err = fmt.Errorf("it is that of %q at key %q", good.Name, good.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("last good file %q: %w", path, err)
	}
	return good, nil
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
	if len(g.Values) == 0 {
		v.value = d.defaults()
		return v, nil
	}
	var err error
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
		err = replaceFile(good.path, append(data, '\n'))
	}
	if err != nil {
		return nil, fmt.Errorf("last good file: %w", err)
	}
	return good, nil
}

func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // readable by its owner alone
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = cmp.Or(err, temp.Sync())
	err = cmp.Or(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // what is left of it does no harm
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename last. Windows has no such thing for folders.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return cmp.Or(d.Sync(), d.Close())
}
