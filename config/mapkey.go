package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// mapKeys reads the keys of a map from the names of an object, by the rules of encoding/json.
type mapKeys struct {
	t    reflect.Type
	seen map[any]bool // nil where no two names make one key
}

func keysOf(t reflect.Type) mapKeys {
	k := mapKeys{t: t}
	if t.Kind() != reflect.String || reflect.PointerTo(t).Implements(textType) {
		k.seen = map[any]bool{}
	}
	return k
}

// read returns the key of a name.
func (k mapKeys) read(name string) (reflect.Value, error) {
	if k.seen == nil {
		return reflect.ValueOf(name).Convert(k.t), nil
	}
	key, err := k.parse(name)
	switch {
	case err != nil:
		return key, err
	case k.seen[key.Interface()]:
		return key, errors.New("it is there twice, once under another name")
	}
	k.seen[key.Interface()] = true
	return key, nil
}

func (k mapKeys) parse(name string) (reflect.Value, error) {
	p := reflect.New(k.t)
	key := p.Elem()
	if text, ok := p.Interface().(encoding.TextUnmarshaler); ok {
		return key, text.UnmarshalText([]byte(name))
	}
	switch {
	case key.CanInt():
		i, err := strconv.ParseInt(name, 10, 64)
		if err == nil && !key.OverflowInt(i) {
			key.SetInt(i)
			return key, nil
		}
	case key.CanUint():
		u, err := strconv.ParseUint(name, 10, 64)
		if err == nil && !key.OverflowUint(u) {
			key.SetUint(u)
			return key, nil
		}
	}
	return key, fmt.Errorf("%q cannot be a key, which is a %v", name, k.t)
}

// keyName returns the name of a key of a map, as encoding/json would write it.
func keyName(key reflect.Value) string {
	if key.Kind() == reflect.String {
		return key.String()
	}
	if text, ok := key.Interface().(encoding.TextMarshaler); ok {
		if name, err := text.MarshalText(); err == nil {
			return string(name)
		}
	}
	return fmt.Sprint(key.Interface())
}
