package config

import "reflect"

// clone returns a copy that shares no map, slice or pointer with the original, but for what is opaque.
func clone(v reflect.Value) reflect.Value { return deeper(v, 0) }

func deeper(v reflect.Value, depth int) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	deepen(c, depth)
	return c
}

// deepest is how far down a value can lead.
const deepest = 1000

// opaque tells whether a type has nothing but insides that cannot be copied or compared from here (time.Time, big.Int, regexp.Regexp). Such
// a value is never changed in place.
func opaque(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			return false
		}
	}
	return t.NumField() > 0
}

// deepen copies what a copy still shares with its original. It panics if there is no end to that.
func deepen(v reflect.Value, depth int) {
	if depth++; depth > deepest {
		panic("it leads to itself")
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() || v.Type().Field(i).Anonymous && f.Kind() == reflect.Struct {
				deepen(f, depth)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			deepen(v.Index(i), depth)
		}
	case reflect.Pointer:
		if !v.IsNil() && !opaque(v.Type().Elem()) {
			p := reflect.New(v.Type().Elem())
			p.Elem().Set(v.Elem())
			deepen(p.Elem(), depth)
			v.Set(p.Convert(v.Type()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(deeper(v.Elem(), depth))
		}
	case reflect.Slice:
		if !v.IsNil() {
			s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(s, v)
			for i := range s.Len() {
				deepen(s.Index(i), depth)
			}
			v.Set(s)
		}
	case reflect.Map:
		if !v.IsNil() {
			m := reflect.MakeMapWithSize(v.Type(), v.Len())
			for key, entry := range v.Seq2() {
				m.SetMapIndex(key, deeper(entry, depth))
			}
			v.Set(m)
		}
	}
}
