package config

import (
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// settings has one of everything that decoding treats in its own way.
type settings struct {
	Name     string
	Timeout  time.Duration `json:"timeout"`
	Retries  int           `json:"retries,omitempty"`
	Big      int64         `json:"big,string"`
	Pause    time.Duration `json:"pause,string"`
	On       bool
	Rate     float64
	Steps    []time.Duration
	Pair     [2]time.Duration
	Limits   map[string]limit
	Texts    map[string]string
	Next     *limit
	Grace    *time.Duration
	When     time.Time
	Addr     netip.Addr
	Pattern  *regexp.Regexp
	Number   *big.Int
	Blob     []byte
	Anything any
	Own      upper
	Alias    aliased
	Matrix   [][]limit
	Secret   string `json:"-"`
	inner
	*Outer
	hidden struct{} //nolint:unused // that nobody reads it is the point
}

type limit struct {
	Max  int           `json:"max"`
	Wait time.Duration `json:"wait"`
}

type inner struct{ Embedded int }

// Outer is exported, so that encoding/json can make one.
type Outer struct{ Level string }

type upper string

func (u *upper) UnmarshalText(text []byte) error {
	*u = upper(strings.ToUpper(string(text)))
	return nil
}

// aliased decodes itself in the way that keeps defaults.
type aliased struct {
	A, B int
}

func (a *aliased) UnmarshalJSON(data []byte) error {
	type plain aliased
	return json.Unmarshal(data, (*plain)(a))
}

func decoderOf[T any](def T, opts ...Option) *decoder {
	return newDecoder(reflect.ValueOf(&def).Elem(), newOptions(opts))
}

func decodeText[T any](t *testing.T, def T, text string, opts ...Option) (T, error) {
	t.Helper()
	value, _, err := decoderOf(def, opts...).decode(map[string][]byte{"": []byte(text)})
	return *value.(*T), err
}

// TestDecodeAgrees: where there are no durations, the result is that of encoding/json.
func TestDecodeAgrees(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, ` { } `, `{"name":"a","RETRIES":3,"on":true,"rate":1.5,"big":"9007199254740993"}`,
		`{"name":null,"retries":null,"limits":null,"steps":null,"next":null,"anything":null,"addr":null}`,
		`{"texts":{"a":"b","":"c"},"anything":{"a":[1,"2",null]},"blob":"aGk=","when":"2026-01-02T03:04:05Z"}`,
		`{"addr":"10.0.0.1","pattern":"^a+$","number":123456789012345678901234567890,"own":"abc"}`,
		`{"embedded":7,"level":"deep"}`, `{"alias":{"A":1}}`, `{"alias":null}`,
		`{"matrix":[[{"max":1}],[],null]}`, `{"next":{"max":2}}`, `{"limits":{"a":{"max":1},"b":{}}}`,
		`{"name":"\u00e4\n\"x\"","texts":{}}`, `{"steps":[]}`,
	} {
		got, err := decodeText(t, settings{}, text)
		var want settings
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(text, err)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s became %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestDecodeDurations(t *testing.T) {
	t.Parallel()
	got, err := decodeText(t, settings{}, `{"timeout":"5s","pause":"1ms","steps":["1s","2m"],"pair":["3s","4s"],"grace":"1h",
		"limits":{"a":{"wait":"6s"}},"next":{"wait":"7s"},"matrix":[[{"wait":"8s"}]]}`)
	hour := time.Hour
	want := settings{
		Timeout: 5 * time.Second, Pause: time.Millisecond, Steps: []time.Duration{time.Second, 2 * time.Minute},
		Pair: [2]time.Duration{3 * time.Second, 4 * time.Second}, Grace: &hour,
		Limits: map[string]limit{"a": {Wait: 6 * time.Second}}, Next: &limit{Wait: 7 * time.Second},
		Matrix: [][]limit{{{Wait: 8 * time.Second}}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := decodeText(t, settings{Timeout: 1, Pause: 2}, `{"timeout":0,"pause":null}`); err != nil || got.Timeout != 0 || got.Pause != 2 {
		t.Errorf("zero needs no unit, and null keeps: %v, %v, %v", got.Timeout, got.Pause, err)
	}
	if got, err := decodeText(t, time.Second, `"3s"`); err != nil || got != 3*time.Second {
		t.Errorf("a duration alone: %v, %v", got, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"nothing", ``, "it is empty"},
		{"white space", " \n", "it is empty"},
		{"null", ` null `, "null is no value"},
		{"cut off", "{\n \"name\": \"a\"", "bad JSON at line 2, column 12: unexpected end of JSON input"},
		{"something behind", `{} {}`, "bad JSON at line 1, column 4: invalid character '{' after top-level value"},
		{"single quotes", `{'a':1}`, "bad JSON at line 1, column 2: invalid character '\\''"},
		{"another kind", `[]`, "it is a list, not an object"},
		{"unknown", `{"names":"a"}`, "unknown field names"},
		{
			"unknown and deep", `{"next":{"mix":1},"limits":{"a":{"mix":1}},"matrix":[[{"mix":1}]]}`,
			"unknown fields Limits.a.mix, Matrix.0.0.mix, Next.mix",
		},
		{"many unknown", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}`, "unknown fields a, b, c, d, e and 2 more"},
		{"no field", `{"secret":"a"}`, "unknown field secret"},
		{"unexported", `{"hidden":1}`, "unknown field hidden"},
		{"twice", `{"name":"a","name":"b"}`, `"name" is there twice`},
		{"twice in two spellings", `{"name":"a","Name":"b"}`, `"Name" is there twice`},
		{"twice in a map", `{"texts":{"a":"1","a":"2"}}`, `Texts: "a" is there twice`},
		{"a number as duration", `{"timeout":5}`, `timeout: a number is no duration: write it like "5s"`},
		{"a number as duration, deep", `{"limits":{"a":{"wait":5}}}`, `Limits.a.wait: a number is no duration`},
		{"a bad duration", `{"steps":["1s","x"]}`, `Steps.1: time: invalid duration "x"`},
		{"an array of another length", `{"pair":["1s"]}`, "Pair: 1 elements, want 2"},
		{"text for a number", `{"retries":"3"}`, "retries: it is a string, which is no int"},
		{"a fraction for a whole number", `{"retries":3.5}`, "retries: it is a number, which is no int"},
		{"a number for text", `{"name":3}`, "Name: it is a number, which is no string"},
		{"an object for a list", `{"steps":{}}`, "Steps: it is an object, not a list"},
		{"a list for a map", `{"limits":[]}`, "Limits: it is a list, not an object"},
		{"a type that decodes itself", `{"addr":"here"}`, "Addr: ParseAddr"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, err := decodeText(t, settings{}, test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s became %+v, %v, want %q", test.text, got, err, test.want)
			}
		})
	}
}

func TestDecodeLetsUnknownFieldsPass(t *testing.T) {
	t.Parallel()
	value, unknown, err := decoderOf(settings{}, WithUnknownFields()).decode(map[string][]byte{"": []byte(`{"new":1,"name":"a","next":{"new":{}}}`)})
	if err != nil || value.(*settings).Name != "a" || strings.Join(unknown, " ") != "new Next.new" {
		t.Errorf("%+v, unknown %v, %v", value, unknown, err)
	}
}

// TestDecodeKeepsDefaults, at any depth, and shares nothing with them.
func TestDecodeKeepsDefaults(t *testing.T) {
	t.Parallel()
	def := settings{
		Name: "default", Timeout: time.Second, Next: &limit{Max: 1, Wait: 2}, Steps: []time.Duration{1, 2, 3},
		Limits: map[string]limit{"a": {Max: 1, Wait: 2}, "b": {Max: 3}}, Texts: map[string]string{"a": "b"},
		Number: big.NewInt(1), Pattern: regexp.MustCompile("a"), Alias: aliased{A: 1, B: 2}, inner: inner{Embedded: 4},
		Outer: &Outer{Level: "low"}, Anything: map[string]any{"a": []any{1.0}},
	}
	before, err := json.Marshal(def)
	if err != nil {
		t.Fatal(err)
	}
	d := decoderOf(def)
	text := `{"next":{"max":9},"limits":{"a":{"max":9}},"texts":{"c":"d"},"steps":["9s"],"number":999999999999999999999999,
		"pattern":"b","alias":{"A":9},"level":"high"}`
	for range 2 { // the second finds the default as the first did
		value, _, err := d.decode(map[string][]byte{"": []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		got := value.(*settings)
		if got.Name != "default" || got.Next.Wait != 2 || got.Limits["a"].Wait != 2 || got.Limits["b"].Max != 3 || got.Texts["a"] != "b" ||
			got.Alias != (aliased{9, 2}) || got.Embedded != 4 || got.Level != "high" || len(got.Steps) != 1 {
			t.Errorf("%+v", got)
		}
		got.Next.Max, got.Texts["e"], got.Anything.(map[string]any)["b"] = 8, "f", 1
		got.Anything.(map[string]any)["a"].([]any)[0] = 2.0
		delete(got.Limits, "b")
	}
	if after, err := json.Marshal(def); err != nil || string(after) != string(before) {
		t.Errorf("the default became %s, was %s", after, before)
	}
	if p := d.defaults().(*settings); p.Limits["b"].Max != 3 || p.Anything.(map[string]any)["b"] != nil {
		t.Errorf("the default of the decoder became %+v", p)
	}
	maps.DeleteFunc(def.Limits, func(string, limit) bool { return true })
	if p := d.defaults().(*settings); p.Limits["b"].Max != 3 {
		t.Error("whoever gave the default can change it")
	}
}

type picky struct{ Max int }

func (p picky) Validate() error {
	if p.Max > 5 {
		return errors.New("max: more than 5")
	}
	return nil
}

type proud struct{ Max int }

func (p *proud) Validate() error { panic("never") }

func TestValidate(t *testing.T) {
	t.Parallel()
	if _, err := decodeText(t, picky{}, `{"max":5}`); err != nil {
		t.Error(err)
	}
	if _, err := decodeText(t, picky{}, `{"max":6}`); err == nil || err.Error() != "max: more than 5" {
		t.Errorf("a method of T: %v", err)
	}
	if _, err := decodeText(t, &picky{}, `{"max":6}`); err == nil {
		t.Error("T is a pointer: it was not asked")
	}
	if _, err := decodeText[*picky](t, nil, `null`); err != nil {
		t.Errorf("T is a pointer, and nil: %v", err)
	}
	if _, err := decodeText(t, proud{}, `{}`); err == nil || err.Error() != "panic: never" {
		t.Errorf("a method of *T that panics: %v", err)
	}
}

func TestDecoders(t *testing.T) {
	t.Parallel()
	shared := []byte("1")
	scribble := func(data []byte, _ any) error { data[0] = '2'; return nil }
	if _, _, err := decoderOf(0, WithDecoder(scribble)).decode(map[string][]byte{"": shared}); err != nil || string(shared) != "1" {
		t.Errorf("a decoder wrote into what is shared: %q, %v", shared, err)
	}
	if got, err := decodeText(t, []byte("default"), "\x00raw"); err != nil || string(got) != "\x00raw" {
		t.Errorf("bytes: %q, %v", got, err)
	}
	lines := func(data []byte, v any) error {
		if len(data) == 0 {
			panic("nothing there")
		}
		*v.(*[]string) = strings.Split(string(data), "\n")
		return nil
	}
	if got, err := decodeText(t, []string{"default"}, "a\nb", WithDecoder(lines)); err != nil || len(got) != 2 {
		t.Errorf("a decoder: %v, %v", got, err)
	}
	if _, err := decodeText(t, []string{"default"}, "", WithDecoder(lines)); err == nil || err.Error() != "panic: nothing there" {
		t.Errorf("a decoder that panics: %v", err)
	}
	if got, err := decodeText[any](t, nil, `null`); err != nil || got != nil {
		t.Errorf("null for any: %v, %v", got, err)
	}
	if got, err := decodeText(t, map[string]int{"a": 1}, `{"b":2}`); err != nil || len(got) != 2 {
		t.Errorf("a map: %v, %v", got, err)
	}
	if got, err := decodeText(t, url.URL{Host: "a"}, `{"Path":"b"}`); err != nil || got.Path != "b" {
		t.Errorf("a foreign struct: %v, %v", got, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	check := Check(picky{})
	for text, ok := range map[string]bool{`{"max":1}`: true, `{"max":7}`: false, `{"mix":1}`: false, ``: false, `{"max":`: false} {
		if err := check([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	tree := Check(settings{}, WithTree())
	if err := tree([]byte(`{"name":42,"timeout":"5s","next":{"max":1}}`)); err != nil {
		t.Errorf("a tree: %v", err)
	}
	if err := tree([]byte(`{"retries":"x"}`)); err == nil {
		t.Error("a bad tree passed")
	}
	if err := Check(picky{}, WithReport())([]byte(`{}`)); err == nil {
		t.Error("an option that means nothing here passed")
	}
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	minute := time.Minute
	value := settings{
		Name: "<a>", Timeout: 5 * time.Second, Pause: time.Millisecond, Steps: []time.Duration{time.Second}, Grace: &minute,
		Limits: map[string]limit{"a": {Max: 1, Wait: time.Hour}}, Next: &limit{}, When: time.Unix(1, 0).UTC(), Big: 7,
		Own: "ABC", Matrix: [][]limit{{{Wait: 1}}, {}}, Outer: &Outer{Level: "x"}, Texts: map[string]string{}, Blob: []byte("hi"),
		Addr: netip.MustParseAddr("10.0.0.1"), Number: big.NewInt(5), Pattern: regexp.MustCompile("a"),
	}
	data, err := Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeText(t, settings{}, string(data))
	if err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if !reflect.DeepEqual(got, value) {
		t.Errorf("%s became\n%+v, was\n%+v", data, got, value)
	}
	for v, want := range map[any]string{nil: "null", time.Second: `"1s"`, 5: "5", [1]time.Duration{1}: `["1ns"]`, limit{}: `{"max":0,"wait":"0s"}`} {
		if got, err := Marshal(v); err != nil || string(got) != want {
			t.Errorf("%v became %s, %v", v, got, err)
		}
	}
	if _, err := Marshal(make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
	type odd struct { // its tag is none for encoding/json, which goes by the field
		Wait time.Duration `json:"it's,string"` //nolint:staticcheck // that is what is tested
	}
	if got, err := Marshal(odd{1}); err != nil || string(got) != `{"Wait":"1ns"}` {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := decodeText(t, odd{}, `{"Wait":"2ns"}`); err != nil || got.Wait != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
