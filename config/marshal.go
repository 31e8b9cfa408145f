package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

var (
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

// Marshal returns the JSON of v as Watch reads it: that of encoding/json, but for durations, which are written like "5s".
func Marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || v == nil {
		return data, err
	}
	r := respeller{fields: fieldCache{}}
	if err := r.respell(data, reflect.TypeOf(v)); err != nil {
		return nil, fmt.Errorf("config: %T: %w", v, err)
	}
	return r.out.Bytes(), nil
}

// respeller writes JSON that encoding/json has made of a type, with its durations spelled as text. What stands in an interface, or comes from
// a type that encodes itself, stays as it is.
type respeller struct {
	out    bytes.Buffer
	fields fieldCache
}

func (r *respeller) respell(raw []byte, t reflect.Type) error {
	for t.Kind() == reflect.Pointer && !encodesItself(t) {
		t = t.Elem()
	}
	n := &node{raw: raw}
	switch {
	case n.isNull() || encodesItself(t):
		r.out.Write(raw)
	case t == durationType:
		d, err := strconv.ParseInt(string(bytes.Trim(raw, `"`)), 10, 64) // in quotes with the option "string" of a tag
		r.out.Write(quote(time.Duration(d).String()))
		return err
	case t.Kind() == reflect.Struct:
		fields := r.fields.of(t)
		return r.members(n, func(name string) (reflect.Type, error) {
			f := fields.find(name)
			if f == nil {
				return nil, fmt.Errorf("%v has no field for %q, as encoding/json calls it", t, name)
			}
			return t.FieldByIndex(f.index).Type, nil
		})
	case t.Kind() == reflect.Map:
		return r.members(n, func(string) (reflect.Type, error) { return t.Elem(), nil })
	case t.Kind() == reflect.Array, t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		return r.elements(n, t.Elem())
	default:
		r.out.Write(raw)
	}
	return nil
}

func (r *respeller) members(n *node, typeOf func(name string) (reflect.Type, error)) error {
	members, err := n.members() // which finds two keys of a map that encode themselves alike
	if err != nil {
		return err
	}
	for i, m := range members {
		r.out.WriteByte("{,"[min(i, 1)])
		r.out.Write(quote(m.name))
		r.out.WriteByte(':')
		t, err := typeOf(m.name)
		if err == nil {
			err = r.respell(m.node.raw, t)
		}
		if err != nil {
			return err
		}
	}
	if len(members) == 0 {
		r.out.WriteByte('{')
	}
	r.out.WriteByte('}')
	return nil
}

func (r *respeller) elements(n *node, t reflect.Type) error {
	elements, err := n.elements()
	if err != nil {
		return err
	}
	for i, element := range elements {
		r.out.WriteByte("[,"[min(i, 1)])
		if err := r.respell(element.raw, t); err != nil {
			return err
		}
	}
	if len(elements) == 0 {
		r.out.WriteByte('[')
	}
	r.out.WriteByte(']')
	return nil
}

// encodesItself tells whether a type brings its own way to be encoded.
func encodesItself(t reflect.Type) bool {
	for _, t := range []reflect.Type{t, reflect.PointerTo(t)} {
		if t.Implements(marshalerType) || t.Implements(textMarshalerType) {
			return true
		}
	}
	return false
}
