package main

import (
	"strings"
	"testing"
)

func TestParseJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" {\n \"a\": 1 }\n":                   "{\n \"a\": 1 }",
		`{"a":{"a":1},"b":[{"a":1},{"a":2}]}`: `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`,
		`[[],{},"a","a"]`:                     `[[],{},"a","a"]`,
		`5`:                                   `5`,
	} {
		if got, _, err := format(formatJSON).parse([]byte(text)); err != nil || string(got) != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                  "it is empty",
		" \n":                               "it is empty",
		"{\"a\": 1,\n \"b\" 2}":             "line 2, column 6: ",
		`{"a":1`:                            "unexpected end of JSON input",
		`{} {}`:                             "column 4: ",
		"{\"a\":1,\n\"b\":[{}],\n \"a\":2}": `line 3, column 4: "a" is there twice`,
		`[{"x":{"a":1,"a":1}}]`:             `column 16: "a" is there twice`,
		`{"a":[1,{"b":1}],"c":1,"a":2}`:     `"a" is there twice`,
	} {
		if got, _, err := format(formatJSON).parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v; want %q", text, got, err, want)
		}
	}
}

func TestSameJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1}`, "{ \"a\" :\n1 }", true},
		{`"é"`, `"\u00e9"`, true},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, false},
		{`1.0`, `1`, false},
		{`null`, `{}`, false},
		{`[]`, `[[]]`, false},
		{`junk`, `junk`, true},
		{`junk`, `"junk"`, false},
	} {
		if got := sameJSON([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

func TestTreeAsDocument(t *testing.T) {
	t.Parallel()
	values := map[string][]byte{"http/timeout": []byte("5s"), "a": []byte(`{"x": 1}`), "n": []byte("3"), "z": []byte(`"3"`)}
	doc := document(values)
	if want := `{"a":{"x": 1},"http/timeout":"5s","n":3,"z":"3"}`; string(doc) != want {
		t.Errorf("document: %s", doc)
	}
	back, err := paths(doc)
	if err != nil || len(back) != 4 || string(back["http/timeout"]) != `"5s"` || string(back["a"]) != `{"x": 1}` {
		t.Errorf("paths: %q, %v", back, err)
	}
	if gone, err := paths([]byte(`{"a":null}`)); err != nil || len(gone) != 1 || gone["a"] != nil {
		t.Errorf("null: %q, %v", gone, err)
	}
	for _, bad := range []string{"null", "5", "[]"} {
		if _, err := paths([]byte(bad)); err == nil {
			t.Errorf("%s is a tree", bad)
		}
	}
}

func TestFormatOfAFile(t *testing.T) {
	t.Parallel()
	unset, yaml := format(""), format(formatYAML)
	for file, want := range map[string]format{"a.json": formatJSON, "a.yaml": formatYAML, "b/A.YML": formatYAML, "a": formatJSON, "": formatJSON} {
		if got := unset.of(file); got != want {
			t.Errorf("%q: %s", file, got)
		}
		if got := yaml.of(file); got != formatYAML {
			t.Errorf("%q with the flag: %s", file, got)
		}
	}
}
