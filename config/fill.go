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

func (f *filler) fill(n *node, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		return f.pointer(n, v)
	}
	t := v.Type()
	switch kind := v.Kind(); {
	case decodesItself(t):
		return leaf(n, v)
	case t == durationType:
		return duration(n, v)
	case n.isNull() && kind != reflect.Map && kind != reflect.Slice && kind != reflect.Interface:
		return nil // as encoding/json does: it keeps what is there
	case kind == reflect.Struct:
		return f.object(n, v)
	case kind == reflect.Map && !n.isNull():
		return f.entries(n, v)
	case kind == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && !n.isNull(), kind == reflect.Array:
		return f.list(n, v)
	case quick(n, v):
		return nil
	default:
		return leaf(n, v)
	}
}

// below fills what has that name in what is being filled, and puts the name before what was found there. Paths are made on the way back,
// since there are none where all is well.
func (f *filler) below(name string, n *node, v reflect.Value) error {
	known := len(f.unknown)
	err := f.fill(n, v)
	for i := known; i < len(f.unknown); i++ {
		f.unknown[i] = join(name, f.unknown[i])
	}
	return at(name, err)
}

// fieldError is an error and the path to where it is.
type fieldError struct {
	path string
	err  error
}

// Error puts the path first.
func (e *fieldError) Error() string { return e.path + ": " + e.err.Error() }

// Unwrap returns what is wrong there.
func (e *fieldError) Unwrap() error { return e.err }

// at puts a name before an error, or before the path that it has already.
func at(name string, err error) error {
	if err == nil || name == "" {
		return err
	}
	if deeper, ok := err.(*fieldError); ok { //nolint:errorlint // one that is wrapped is not ours
		return &fieldError{join(name, deeper.path), deeper.err}
	}
	return &fieldError{name, err}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// pointer fills what a pointer leads to. What is opaque is never written to in place, since the default leads there too.
func (f *filler) pointer(n *node, v reflect.Value) error {
	if n.isNull() {
		v.SetZero()
		return nil
	}
	if v.IsNil() || opaque(v.Type().Elem()) {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return f.fill(n, v.Elem())
}

func (f *filler) object(n *node, v reflect.Value) error {
	members, err := n.members()
	if err != nil {
		return err
	}
	fields := f.fields.of(v.Type())
	var room [few]*field
	seen := room[:0]
	for _, m := range members {
		field := fields.find(m.name)
		if field == nil {
			f.unknown = append(f.unknown, m.name)
			if m.node.raw != nil && m.node.isJSON() {
				if err := unique(m.node.raw); err != nil {
					return at(m.name, err)
				}
			}
			continue
		}
		if slices.Contains(seen, field) {
			return fmt.Errorf("%q is there twice", field.name)
		}
		seen = append(seen, field)
		at := field.in(v)
		if field.quoted && at.Type() != durationType {
			m.node = m.node.unquoted()
		}
		if err := f.below(field.name, m.node, at); err != nil {
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

// entries fills a map. Entries that it has by default, and that are not told, stay.
func (f *filler) entries(n *node, v reflect.Value) error {
	members, err := n.members()
	if err != nil {
		return err
	}
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(members)))
	}
	defaults := v.Len() > 0
	keys := keysOf(v.Type().Key())
	entry := reflect.New(v.Type().Elem()).Elem()
	for _, m := range members {
		key, err := keys.read(m.name)
		if err != nil {
			return at(m.name, err)
		}
		entry.SetZero()
		if defaults {
			if def := v.MapIndex(key); def.IsValid() {
				entry.Set(def)
			}
		}
		if err := f.below(m.name, m.node, entry); err != nil {
			return err
		}
		v.SetMapIndex(key, entry)
	}
	return nil
}

// list fills a slice or an array. A list has no defaults: it is what it says.
func (f *filler) list(n *node, v reflect.Value) error {
	elements, err := n.elements()
	if err != nil {
		return err
	}
	list := reflect.New(v.Type()).Elem()
	if v.Kind() == reflect.Slice {
		list.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
	}
	if list.Len() != len(elements) {
		return fmt.Errorf("%d elements, want %d", len(elements), list.Len())
	}
	for i, element := range elements {
		if err := f.below(strconv.Itoa(i), element, list.Index(i)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// unknownError names the fields that a type does not have.
func unknownError(fields []string) error {
	slices.Sort(fields)
	if len(fields) == 1 {
		return fmt.Errorf("unknown field %s", fields[0])
	}
	return fmt.Errorf("unknown fields %s", some(fields))
}

// some is the first few of a list of names.
func some(names []string) string {
	const shown = 5
	text := strings.Join(names[:min(shown, len(names))], ", ")
	if len(names) > shown {
		text += fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return text
}
