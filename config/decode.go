package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// decoder makes values of one type from what stands in etcd. It is safe for concurrent use.
type decoder struct {
	def     reflect.Value
	tree    bool
	lenient bool
	custom  func(data []byte, v any) error
	bad     error // why there is no default
}

// newDecoder returns the decoder of the type of def. Nothing that def leads to is shared with what is decoded.
func newDecoder(def reflect.Value, o options) (d *decoder) {
	d = &decoder{tree: o.tree, lenient: o.lenient, custom: o.decode}
	defer func() {
		if r := recover(); r != nil {
			d.def, d.bad = reflect.Zero(def.Type()), fmt.Errorf("the default: %v", r)
		}
	}()
	d.def = clone(def)
	return d
}

// sound tells why nothing can be decoded over the default. Whether that is valid is another question: see fallback.
func (d *decoder) sound() (err error) {
	if d.bad != nil {
		return d.bad
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the default: panic: %v", r)
		}
	}()
	p := reflect.ValueOf(d.defaults())
	t := p.Elem().Type()
	if d.custom != nil || t == bytesType || decodesItself(t) {
		return nil
	}
	switch kind := t.Kind(); {
	case kind == reflect.Chan, kind == reflect.Func, kind == reflect.Complex64, kind == reflect.Complex128,
		kind == reflect.Interface && t.NumMethod() > 0:
		return fmt.Errorf("the default cannot be decoded over: there is no JSON of a %v", t)
	case d.tree, kind == reflect.Struct, kind == reflect.Map:
		if _, err := d.strict(&node{raw: []byte("{}")}, p.Elem()); err != nil {
			return fmt.Errorf("the default cannot be decoded over: %w", err)
		}
	}
	return nil
}

// defaults returns a pointer to a default.
func (d *decoder) defaults() any {
	p := reflect.New(d.def.Type())
	p.Elem().Set(clone(d.def))
	return p.Interface()
}

// fallback returns a pointer to a default that is to be the value itself, if it is valid: one that is not, since it leaves out what must be
// in etcd, is of use as what the rest is.
func (d *decoder) fallback() (value any, err error) {
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("the default is not valid: panic: %v", r)
		}
	}()
	value = d.defaults()
	if err := validate(reflect.ValueOf(value)); err != nil {
		return nil, fmt.Errorf("the default is not valid: %w", err)
	}
	return value, nil
}

// decode returns a pointer to a value, and the unknown fields that were let pass. raw is by path, as in a view. What panics is the
// fault of what stands in etcd as much as what fails: it must not take the program down.
func (d *decoder) decode(raw map[string][]byte) (value any, unknown []string, err error) {
	if d.tree {
		return d.decodeNode(newTree(raw))
	}
	return d.decodeNode(&node{raw: raw[""]})
}

func (d *decoder) decodeNode(root *node) (value any, unknown []string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	value = d.defaults()
	p := reflect.ValueOf(value)
	switch {
	case d.custom != nil || p.Elem().Type() == bytesType:
		var doc []byte
		doc, err = root.document()
		switch {
		case err != nil:
		case d.custom != nil:
			err = d.custom(slices.Clone(doc), value) // which may write into it, as others must not see
		default:
			p.Elem().SetBytes(slices.Clone(doc))
		}
	default:
		unknown, err = d.strict(root, p.Elem())
	}
	if err == nil {
		err = validate(p)
	}
	return value, unknown, err
}

// strict decodes this package's JSON.
func (d *decoder) strict(root *node, v reflect.Value) (unknown []string, err error) {
	if !d.tree || root.raw != nil {
		if err := root.check(v.Kind()); err != nil {
			return nil, err
		}
	}
	f := filler{fields: fieldCache{}}
	if err := f.fill(root, v); err != nil {
		return nil, err
	}
	if len(f.unknown) > 0 && !d.lenient {
		return nil, unknownError(f.unknown)
	}
	return f.unknown, nil
}

// validator is what a type has that knows which values are good.
type validator interface{ Validate() error }

// validate asks a T or a *T, and a T that is a pointer.
func validate(p reflect.Value) error {
	for _, v := range []reflect.Value{p, p.Elem()} {
		if v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		}
		if v, ok := v.Interface().(validator); ok {
			return v.Validate()
		}
	}
	return nil
}

// Check returns a function that tells whether Watch with the same default and options would accept a value, or a tree as the document
// that Store.Get returns: for WithCheck.
func Check[T any](def T, opts ...Option) func(data []byte) error {
	o := newOptions(opts)
	d := newDecoder(reflect.ValueOf(&def).Elem(), o)
	return func(data []byte) error {
		if o.key != nil || o.keep != nil || o.resets || o.lastGood != nil || o.report {
			return errors.New("config: Check takes WithTree, WithDecoder and WithUnknownFields alone")
		}
		if err := o.checkDecoder(); err != nil {
			return err
		}
		if d.bad != nil {
			return fmt.Errorf("config: %w", d.bad)
		}
		_, _, err := d.decodeNode(&node{raw: data, bare: d.tree})
		return err
	}
}
