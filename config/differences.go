package config

import (
	"maps"
	"reflect"
	"slices"
)

// differences returns the paths of what differs between two values of one type, by the names that JSON has for the fields; "" where
// the whole has none.
func differences(a, b reflect.Value) []string {
	d := differ{fields: fieldCache{}}
	d.compare(a, b, "")
	return d.paths
}

type differ struct {
	fields fieldCache
	paths  []string
}

func (d *differ) compare(a, b reflect.Value, path string) {
	t := a.Type()
	switch {
	case reflect.DeepEqual(a.Interface(), b.Interface()):
	case t.Kind() == reflect.Struct && !opaque(t) && !decodesItself(t):
		d.objects(a, b, path)
	case t.Kind() == reflect.Map:
		d.entries(a, b, path)
	case t.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		d.compare(a.Elem(), b.Elem(), path)
	case t.Kind() == reflect.Interface && !a.IsNil() && !b.IsNil() && a.Elem().Type() == b.Elem().Type():
		d.compare(a.Elem(), b.Elem(), path)
	default:
		d.paths = append(d.paths, path)
	}
}

func (d *differ) objects(a, b reflect.Value, path string) {
	before := len(d.paths)
	for _, f := range d.fields.of(a.Type()) {
		x, errX := a.FieldByIndexErr(f.index)
		y, errY := b.FieldByIndexErr(f.index)
		switch {
		case errX == nil && errY == nil:
			d.compare(x, y, join(path, f.name))
		case errX == nil || errY == nil: // an embedded pointer is nil on one side
			d.paths = append(d.paths, join(path, f.name))
		}
	}
	if len(d.paths) == before { // what differs has no name in JSON
		d.paths = append(d.paths, path)
	}
}

func (d *differ) entries(a, b reflect.Value, path string) {
	keys := map[string]reflect.Value{}
	for _, m := range []reflect.Value{a, b} {
		for _, key := range m.MapKeys() {
			keys[keyName(key)] = key
		}
	}
	before := len(d.paths)
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		x, y := a.MapIndex(keys[name]), b.MapIndex(keys[name])
		if x.IsValid() && y.IsValid() {
			d.compare(x, y, join(path, name))
		} else {
			d.paths = append(d.paths, join(path, name))
		}
	}
	if len(d.paths) == before { // nil on one side, empty on the other
		d.paths = append(d.paths, path)
	}
}
