package config

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// lower is a key that is made of text.
type lower string

func (l *lower) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("it is empty")
	}
	*l = lower(strings.ToLower(string(text)))
	return nil
}

type keyed struct {
	Ints  map[int8]limit
	Uints map[uint]limit
	Addrs map[netip.Addr]limit
	Texts map[lower]limit
}

// TestMapsOfEveryKey: what is below them is as strict as elsewhere, and Marshal, Check and Watch agree.
func TestMapsOfEveryKey(t *testing.T) {
	t.Parallel()
	value := keyed{
		Ints:  map[int8]limit{-1: {Max: 1, Wait: time.Second}},
		Uints: map[uint]limit{7: {Wait: time.Minute}},
		Addrs: map[netip.Addr]limit{netip.MustParseAddr("::1"): {Max: 2}},
		Texts: map[lower]limit{"a": {Max: 3}},
	}
	data, err := Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(keyed{})(data); err != nil {
		t.Errorf("Check of %s: %v", data, err)
	}
	if got, err := decodeText(t, keyed{}, string(data)); err != nil || !reflect.DeepEqual(got, value) {
		t.Errorf("%s became %+v, %v", data, got, err)
	}
	got, err := decodeText(t, value, `{"ints":{"-1":{"max":9}},"texts":{"A":{"wait":"9s"}}}`)
	if err != nil || got.Ints[-1] != (limit{9, time.Second}) || got.Texts["a"] != (limit{3, 9 * time.Second}) || value.Ints[-1].Max != 1 {
		t.Errorf("over defaults: %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"ints":{"1":{"mix":1}}}`:          "unknown field Ints.1.mix",
		`{"ints":{"1":{"wait":5}}}`:         "Ints.1.wait: a number is no duration",
		`{"addrs":{"::1":{"mix":1}}}`:       "unknown field Addrs.::1.mix",
		`{"ints":{"128":{}}}`:               `Ints.128: "128" cannot be a key, which is a int8`,
		`{"uints":{"-1":{}}}`:               `Uints.-1: "-1" cannot be a key`,
		`{"addrs":{"x":{}}}`:                "Addrs.x: ParseAddr",
		`{"texts":{"":{}}}`:                 "Texts: it is empty",
		`{"texts":{"a":{},"A":{}}}`:         "Texts.A: it is there twice",
		`{"ints":{"1":{},"+1":{}}}`:         "Ints.+1: it is there twice",
		`{"ints":{"1":{},"1":{}}}`:          `Ints: "1" is there twice`,
		`{"uints":{"1":{"max":1,"max":1}}}`: `Uints.1: "max" is there twice`,
	} {
		if got, err := decodeText(t, keyed{}, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s became %+v, %v, want %q", text, got, err, want)
		}
		if err := Check(keyed{})([]byte(text)); err == nil {
			t.Errorf("Check accepts %s", text)
		}
	}
	a, b := value, value
	b.Ints = map[int8]limit{-1: {Max: 2, Wait: time.Second}}
	if got := differences(reflect.ValueOf(a), reflect.ValueOf(b)); len(got) != 1 || got[0] != "Ints.-1.max" {
		t.Errorf("differences %q", got)
	}
	if _, err := decodeTree(t, keyed{}, "Ints/1/max=5", "Ints/1/mix=5"); err == nil || err.Error() != "unknown field Ints.1.mix" {
		t.Errorf("a tree: %v", err)
	}
}

// TestTwice: a field twice in one object is refused also where encoding/json decodes, and where nobody looks.
func TestTwice(t *testing.T) {
	t.Parallel()
	type loose struct {
		Any    any
		Raw    json.RawMessage
		Alias  aliased
		Nested map[string]any
	}
	for text, want := range map[string]string{
		`{"any":1,"any":2}`:                           `"any" is there twice`,
		`{"any":1,"Any":2}`:                           `"Any" is there twice`,
		`{"any":{"a":1,"a":2}}`:                       `Any: "a" is there twice`,
		`{"any":[0,{"b":{"a":1,"\u0061":2}}]}`:        `Any.1.b: "a" is there twice`,
		`{"raw":{"a":[],"a":{}}}`:                     `Raw: "a" is there twice`,
		`{"alias":{"A":1,"B":2,"A":3}}`:               `Alias: "A" is there twice`,
		`{"nested":{"x":{"y":{"a":1,"a":1}}}}`:        `Nested.x.y: "a" is there twice`,
		`{"unknown":{"a":1,"a":2}}`:                   `unknown: "a" is there twice`,
		`{"any":{"a":{"a":1},"b":"a","c":["a","a"]}}`: "",
	} {
		for _, opts := range [][]Option{nil, {WithUnknownFields()}, {WithTree()}} {
			err := Check(loose{}, opts...)([]byte(text))
			if (err == nil) != (want == "") || err != nil && err.Error() != want {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
		}
	}
	if _, err := decodeTree(t, loose{}, `Nested/x={"a":1,"a":2}`); err == nil || err.Error() != `Nested.x: "a" is there twice` {
		t.Errorf("in a tree: %v", err)
	}
	deep := strings.Repeat(`{"a":`, 9_000) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat("}", 9_000)
	begun := time.Now()
	if err := unique([]byte(deep)); err != nil || time.Since(begun) > 5*time.Second {
		t.Errorf("deep: %v after %v", err, time.Since(begun))
	}
}

// TestNothingIsLost: what no JSON document can tell is refused, and named, instead of being changed or left out.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	trees := map[string][]string{
		"t.a: it is a number, not an object, and there are keys below it": {"t/a=1", "t/a/x=2"},
		"t.b: it is text, not an object, and there are keys below it":     {"t/a=1", "t/b=text", "t/b/x/y=2"},
		"t.c: it is not UTF-8":  {"t/a=1", "t/c=\xff"},
		`t: "a" is there twice`: {`t={"a":1,"a":2}`, "t/b=1"},
	}
	custom := func([]byte, any) error { return nil }
	for want, lines := range trees {
		_, anyErr := decodeTree(t, map[string]any{}, lines...)
		_, bytesErr := decodeTree(t, []byte(nil), lines...)
		_, _, customErr := decoderOf(0, WithTree(), WithDecoder(custom)).decode(raw(lines...))
		for i, err := range []error{anyErr, bytesErr, customErr} {
			if err == nil || err.Error() != want {
				t.Errorf("%q, %d: %v, want %q", lines, i, err, want)
			}
		}
	}
	if got, err := decodeTree(t, map[string]string{}, "a=\xff"); err != nil || got["a"] != "\xff" {
		t.Errorf("text is what its bytes are: %q, %v", got, err)
	}
	for _, text := range []string{"{\"name\":\"\xff\"}", "{\"anything\":[\"\xff\"]}"} {
		if _, err := decodeText(t, settings{}, text); err == nil || err.Error() != "it is not UTF-8" {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := decodeTree(t, map[string]settings{}, "a="+text); err == nil || !strings.Contains(err.Error(), "it is not UTF-8") {
			t.Errorf("%q in a tree: %v", text, err)
		}
	}
}
