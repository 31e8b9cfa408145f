package config

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var (
	bytesType       = reflect.TypeFor[[]byte]()
	numberType      = reflect.TypeFor[json.Number]()
	durationType    = reflect.TypeFor[time.Duration]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// duration takes "5s", and no number but zero: who writes 5 means seconds, and encoding/json would read nanoseconds.
func duration(n *node, v reflect.Value) error {
	text := strings.TrimSpace(string(n.raw))
	switch {
	case n.isNull():
		return nil
	case n.bare && n.isText():
	case json.Unmarshal(n.raw, &text) == nil:
	case text == "0":
	default:
		return fmt.Errorf("%s is no duration: write it like \"5s\"", describe(n.raw))
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	v.SetInt(int64(d))
	return nil
}

// leaf has encoding/json decode.
func leaf(n *node, v reflect.Value) error {
	t := v.Type()
	bare := textual(t) && n.bare && len(n.sub) == 0 && !n.isQuoted()
	if bare && t.Kind() == reflect.String && !decodesItself(t) {
		v.SetString(string(n.raw)) // whatever its bytes are
		return nil
	}
	doc, err := n.leafDocument(bare)
	if err != nil {
		return err
	}
	if opaque(t) {
		v.SetZero() // what it leads to is the default's as well
	}
	err = json.Unmarshal(doc, v.Addr().Interface())
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field == "" {
		what := describe(doc)
		if n.isText() {
			what = "text"
		}
		return fmt.Errorf("it is %s, which is no %v", what, wrong.Type)
	}
	return err
}

// leafDocument returns the JSON of a leaf, for whose inside encoding/json is too lenient: of two fields with one name it takes the last.
func (n *node) leafDocument(bare bool) ([]byte, error) {
	if bare {
		return quoted(n.raw)
	}
	doc, err := n.document()
	if err == nil && (len(n.sub) > 0 || n.isJSON()) {
		err = unique(doc)
	}
	return doc, err
}

// quick does leaf's work for texts, whole numbers and booleans, of which most leaves are. What it cannot do, or finds wrong, it leaves to
// leaf, and so to encoding/json.
func quick(n *node, v reflect.Value) bool {
	if len(n.sub) > 0 || !n.isJSON() {
		return false
	}
	switch kind := v.Kind(); {
	case v.Type() == numberType:
		return false
	case kind == reflect.String:
		text, ok := plain(n.raw)
		if ok {
			v.SetString(text)
		}
		return ok
	case kind == reflect.Bool:
		on := string(n.raw) == "true"
		if on || string(n.raw) == "false" {
			v.SetBool(on)
			return true
		}
	case v.CanInt():
		i, err := strconv.ParseInt(string(n.raw), 10, 64)
		if err == nil && !v.OverflowInt(i) {
			v.SetInt(i)
			return true
		}
	case v.CanUint():
		u, err := strconv.ParseUint(string(n.raw), 10, 64)
		if err == nil && !v.OverflowUint(u) {
			v.SetUint(u)
			return true
		}
	}
	return false
}

// decodesItself tells whether a type brings its own way to be decoded.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(unmarshalerType) || p.Implements(textType)
}

// textual tells whether a type is read from text: what stands in a key of a tree may be without quotes then, even if it reads as
// a number.
func textual(t reflect.Type) bool {
	switch p := reflect.PointerTo(t); {
	case p.Implements(unmarshalerType):
		return false
	case p.Implements(textType):
		return true
	}
	return t.Kind() == reflect.String || t == bytesType
}
