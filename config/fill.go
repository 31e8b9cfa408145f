package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// filler brings what nodes tell into a value that begins as the default. Where a type decodes itself, or is plain, encoding/json does
// the work; here is what it cannot do: durations as text, paths in its errors, defaults below maps, fields that are unknown
// but let pass.
type filler struct {
	fields  fieldCache
	unknown []string
}

func (f *filler) fill(n *node, v reflect.Value, path string) error {
	if v.Kind() == reflect.Pointer {
		return f.pointer(n, v, path)
	}
	t := v.Type()
	var err error
	switch kind := v.Kind(); {
	case decodesItself(t):
		err = leaf(n, v)
	case t == durationType:
		err = duration(n, v)
	case n.isNull() && kind != reflect.Map && kind != reflect.Slice && kind != reflect.Interface:
		return nil // as encoding/json does: it keeps what is there
	case kind == reflect.Struct:
		return f.object(n, v, path)
	case kind == reflect.Map && t.Key().Kind() == reflect.String && !decodesItself(t.Key()) && !n.isNull():
		return f.entries(n, v, path)
	case kind == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && !n.isNull(), kind == reflect.Array:
		return f.list(n, v, path)
	default:
		err = leaf(n, v)
	}
	return at(path, err)
}

// at puts the path before an error that has none.
func at(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// pointer fills what a pointer leads to. What is opaque is never written to in place, since the default leads there too.
func (f *filler) pointer(n *node, v reflect.Value, path string) error {
	if n.isNull() {
		v.SetZero()
		return nil
	}
	if v.IsNil() || opaque(v.Type().Elem()) {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return f.fill(n, v.Elem(), path)
}

func (f *filler) object(n *node, v reflect.Value, path string) error {
	members, err := n.members()
	if err != nil {
		return at(path, err)
	}
	fields := f.fields.of(v.Type())
	seen := map[string]bool{}
	for _, m := range members {
		field := fields.find(m.name)
		if field == nil {
			f.unknown = append(f.unknown, join(path, m.name))
			continue
		}
		if seen[field.name] {
			return at(path, fmt.Errorf("%q is there twice", field.name))
		}
		seen[field.name] = true
		at := field.in(v)
		if field.quoted && at.Type() != durationType {
			m.node = m.node.unquoted()
		}
		if err := f.fill(m.node, at, join(path, field.name)); err != nil {
			return err
		}
	}
	return nil
}

// unquoted takes a number or boolean out of its quotes: the option "string" of encoding/json's tags.
func (n *node) unquoted() *node {
	var text string
	if json.Unmarshal(n.raw, &text) != nil {
		return n
	}
	return &node{raw: []byte(text), bare: n.bare}
}

func (f *filler) entries(n *node, v reflect.Value, path string) error {
	members, err := n.members()
	if err != nil {
		return at(path, err)
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, m := range members {
		key := reflect.ValueOf(m.name).Convert(v.Type().Key())
		entry := reflect.New(v.Type().Elem()).Elem()
		if def := v.MapIndex(key); def.IsValid() {
			entry.Set(def)
		}
		if err := f.fill(m.node, entry, join(path, m.name)); err != nil {
			return err
		}
		v.SetMapIndex(key, entry)
	}
	return nil
}

// list fills a slice or an array. A list has no defaults: it is what it says.
func (f *filler) list(n *node, v reflect.Value, path string) error {
	elements, err := n.elements()
	if err != nil {
		return at(path, err)
	}
	list := reflect.New(v.Type()).Elem()
	if v.Kind() == reflect.Slice {
		list.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	}
	if list.Len() != len(elements) {
		return at(path, fmt.Errorf("%d elements, want %d", len(elements), list.Len()))
	}
	for i, element := range elements {
		if err := f.fill(element, list.Index(i), join(path, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// unknownError names the fields that a type does not have.
func unknownError(fields []string) error {
	const shown = 5
	slices.Sort(fields)
	names := strings.Join(fields[:min(shown, len(fields))], ", ")
	if len(fields) > shown {
		names += fmt.Sprintf(" and %d more", len(fields)-shown)
	}
	if len(fields) == 1 {
		return fmt.Errorf("unknown field %s", names)
	}
	return fmt.Errorf("unknown fields %s", names)
}
