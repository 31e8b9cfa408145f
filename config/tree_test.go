package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

type server struct {
	HTTP struct {
		Addr    string        `json:"addr"`
		Timeout time.Duration `json:"timeout"`
		Port    int           `json:"port"`
	} `json:"http"`
	Name   string            `json:"name"`
	Level  upper             `json:"level"`
	Blob   []byte            `json:"blob"`
	Hosts  []string          `json:"hosts"`
	Limits map[string]limit  `json:"limits"`
	Extra  map[string]any    `json:"extra"`
	Labels map[string]string `json:"labels"`
}

// raw makes values by path of lines "path=value".
func raw(lines ...string) map[string][]byte {
	values := map[string][]byte{}
	for _, line := range lines {
		path, value, _ := strings.Cut(line, "=")
		values[path] = []byte(value)
	}
	return values
}

func decodeTree[T any](t *testing.T, def T, lines ...string) (T, error) {
	t.Helper()
	value, _, err := decoderOf(def, WithTree()).decode(raw(lines...))
	return *value.(*T), err
}

func TestTree(t *testing.T) {
	t.Parallel()
	def := server{Limits: map[string]limit{"a": {Max: 1, Wait: 2}, "c": {}}}
	def.HTTP.Addr, def.HTTP.Port = "here", 80
	got, err := decodeTree(t, def, "http/timeout=5s\n", "http/port=8080", "name=42", "level=debug", "blob=aGk=", `hosts=["a","b"]`,
		"limits/a/max=9", `limits/b={"max":1,"wait":"1s"}`, "limits/b/max=2", "extra/x/y=text", "extra/x/z=7", `labels/q="quoted"`, "labels/e=", "labels/n=null")
	want := server{
		Name: "42", Level: "DEBUG", Blob: []byte("hi"), Hosts: []string{"a", "b"},
		Limits: map[string]limit{"a": {Max: 9, Wait: 2}, "b": {Max: 2, Wait: time.Second}, "c": {}},
		Extra:  map[string]any{"x": map[string]any{"y": "text", "z": 7.0}}, Labels: map[string]string{"q": "quoted", "e": "", "n": ""},
	}
	want.HTTP.Addr, want.HTTP.Timeout, want.HTTP.Port = "here", 5*time.Second, 8080
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v,\nwant %+v", got, err, want)
	}
	if got, err := decodeTree(t, server{}, "name=\xff\xfe"); err != nil || got.Name != "\xff\xfe" {
		t.Errorf("bytes that are no text: %q, %v", got.Name, err)
	}
	if got, err := decodeTree(t, map[string]string{}, "a=1", "b=x"); err != nil || got["a"] != "1" || got["b"] != "x" {
		t.Errorf("a map: %v, %v", got, err)
	}
}

func TestTreeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		lines []string
		want  string
	}{
		{[]string{"http/port=x"}, "http.port: it is text, which is no int"},
		{[]string{"http/timeout=5"}, "http.timeout: a number is no duration"},
		{[]string{"http/timeout="}, `http.timeout: time: invalid duration ""`},
		{[]string{"http/prot=1"}, "unknown field http.prot"},
		{[]string{"http=1"}, "http: it is a number, not an object"},
		{[]string{"http=1", "http/port=1"}, "http: it is a number, not an object"},
		{[]string{"hosts/0=a"}, "hosts: a list stands in one key"},
		{[]string{"hosts=a"}, "hosts: it is text, not a list"},
		{[]string{"name/first=a"}, "name: it is an object, which is no string"},
		{[]string{"http/port=1", "HTTP/port=2"}, `"http" is there twice`},
	}
	for _, test := range tests {
		if got, err := decodeTree(t, server{}, test.lines...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q became %+v, %v, want %q", test.lines, got, err, test.want)
		}
	}
	if _, err := decodeTree(t, 5, "a=1"); err == nil {
		t.Error("a number was made of a tree")
	}
}

// TestTreeAsDocument: what a decoder, T = []byte and Store.Get make of a tree.
func TestTreeAsDocument(t *testing.T) {
	t.Parallel()
	got, err := decodeTree(t, []byte(nil), "b/c=text", "b/d=1", `a={"x":1,"y":2}`, "a/y=3", "a/z=")
	const want = `{"a":{"x":1,"y":3,"z":""},"b":{"c":"text","d":1}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	var given string
	custom := func(data []byte, _ any) error { given = string(data); return nil }
	if _, _, err := decoderOf(5, WithTree(), WithDecoder(custom)).decode(raw("a/b=1")); err != nil || given != `{"a":{"b":1}}` {
		t.Errorf("a decoder got %s, %v", given, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"name":"a","timeout":"5s","limits":{"a":{"wait":"1s"}}}`, "http/port")
	f.Add(`5s`, "http/timeout")
	f.Add(`[["1s"]]`, "hosts")
	f.Add(`{"a":1}`, "limits/a")
	f.Fuzz(func(t *testing.T, value, path string) {
		if got, err := decodeText(t, settings{}, value); err == nil {
			data, err := Marshal(got)
			if err != nil {
				t.Fatalf("%q was decoded and cannot be encoded: %v", value, err)
			}
			if _, err := decodeText(t, settings{}, string(data)); err != nil {
				t.Fatalf("%q was encoded as %s, which is refused: %v", value, data, err)
			}
		} else if strings.HasPrefix(err.Error(), "panic") {
			t.Fatal(err)
		}
		if _, err := decodeTree(t, server{}, path+"="+value); err != nil && strings.HasPrefix(err.Error(), "panic") {
			t.Fatal(err)
		}
	})
}
