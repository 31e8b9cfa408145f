package main

import (
	"strings"
	"testing"
)

func TestYAMLToJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"b: 1\na: 2":                                                                        `{"b":1,"a":2}`,
		"timeout: 5s\nlist:\n- no\n- 'true'":                                                `{"timeout":"5s","list":["no","true"]}`,
		"on: off\nyes: true\nnothing: ~":                                                    `{"on":"off","yes":true,"nothing":null}`,
		"big: 12345678901234567890123\nexact: 1.10\nhuge: 1e400":                            `{"big":12345678901234567890123,"exact":1.10,"huge":"1e400"}`,
		"hex: 0x1F\nsome: 1_000\nplus: +5\nhalf: .5":                                        `{"hex":31,"some":1000,"plus":5,"half":0.5}`,
		"base: &b {x: 1}\nother: *b":                                                        `{"base":{"x":1},"other":{"x":1}}`,
		`{"json": ["is", {"yaml": "<&>"}]}`:                                                 `{"json":["is",{"yaml":"<&>"}]}`,
		"since: 2026-01-02\n'1': one\ntext: |\n  two\n  lines\n":                            `{"since":"2026-01-02","1":"one","text":"two\nlines\n"}`,
		"a: 1000000\nb: 1e+06\nc: 9007199254740993":                                         `{"a":1000000,"b":1e+06,"c":9007199254740993}`,
		"a: +9007199254740993\nb: +12345678901234567890123\nc: 9_223_372_036_854_775_807":   `{"a":9007199254740993,"b":12345678901234567890123,"c":9223372036854775807}`,
		"a: 1_000.123456789012345678\nb: +.1234567890123456789e+2\nc: -.5\nd: 5.\ne: 01.50": `{"a":1000.123456789012345678,"b":0.1234567890123456789e+2,"c":-0.5,"d":5,"e":1.50}`,
		"a: 0xFFFFFFFFFFFFFFFF\nb: -0x10\nc: 0o17\nd: 0b101\ne: 00\nf: -0":                  `{"a":18446744073709551615,"b":-16,"c":15,"d":5,"e":0,"f":-0}`,
		"a: !!int \"5\"\nb: !!float 1e400\nc: !!str 5\nd: !!map {x: 1}\ne: !!seq [1]":       `{"a":5,"b":1e400,"c":"5","d":{"x":1},"e":[1]}`,
		"a: &a\nb: *a\nc: !!null\nd: &k v\ne: *k":                                           `{"a":null,"b":null,"c":null,"d":"v","e":"v"}`,
		"a:\t1\nb: |\n  x\ty\n":                                                             `{"a":1,"b":"x\ty\n"}`,
		"word":                                                                              `"word"`,
		"{}":                                                                                `{}`,
		"[]":                                                                                `[]`,
	} {
		got, comments, err := yamlToJSON([]byte(text))
		if err != nil || comments || string(got) != want {
			t.Errorf("%q: %s, comments %v, %v; want %s", text, got, comments, err, want)
		}
	}
	for _, text := range []string{"# head\na: 1", "a: 1 # line", "a:\n- 1\n# foot\n", "a:\n  # within\n  b: 1"} {
		if _, comments, err := yamlToJSON([]byte(text)); err != nil || !comments {
			t.Errorf("%q: comments %v, %v", text, comments, err)
		}
	}
}

func TestBadYAML(t *testing.T) {
	t.Parallel()
	bomb := "a0: &a0 [" + strings.Repeat("x,", 100) + "x]\n"
	for i, last := range "012345678" {
		next := string(rune('1' + i))
		bomb += "a" + next + ": &a" + next + " [" + strings.Repeat("*a"+string(last)+",", 9) + "*a" + string(last) + "]\n"
	}
	for text, want := range map[string]string{
		"":                          "it is empty",
		"# nothing":                 "it is empty",
		"a: 1\nb: [1,":              "bad YAML: line 2",
		"a: 1\n  b: 2":              "bad YAML: ",
		"a: 1\n---\nb: 2":           "a second document",
		"a: 1\nb: 2\na: 3":          `line 3, column 1: "a" is there twice`,
		"x: &x {a: 1}\ny: {<<: *x}": "line 2, column 5: << is not understood",
		"? [a]\n: 1":                "line 1, column 3: the name of a field must be text",
		"1: x":                      `line 1, column 1: the name of a field must be text, and 1 is !!int: write "1"`,
		"a:\n  true: x":             `line 2, column 3: the name of a field must be text, and true is !!bool: write "true"`,
		"~: x":                      "must be text, and ~ is !!null",
		"1.5: x":                    "must be text, and 1.5 is !!float",
		"!!binary eA==: x":          "is !!binary",
		"!mine k: x":                "is !mine",
		"a: &a k\n*a : 1":           "line 2, column 1: the name of a field must be text",
		"a:\n\tb: 1":                "at line 2: it is indented with a tab",
		"a:\n  - 1\n\t- 2":          "at line 3: it is indented with a tab",
		"a: 1\n \tb: 2":             "at line 2: it is indented with a tab",
		"a: !mine {x: 1}":           "line 1, column 4: JSON has no object like !mine",
		"a: !!set {x, y}":           "JSON has no object like !!set",
		"a: !!str {x: 1}":           "JSON has no object like !!str",
		"a: !mine [1]":              "JSON has no list like !mine",
		"a: !!omap [x: 1]":          "JSON has no list like !!omap",
		"!mine\na: 1":               "JSON has no object like !mine",
		"a: !!null foo":             `"foo" is not null`,
		"a: !!int 5.5":              `"5.5" is no whole number`,
		"a: !!int 1e3":              `"1e3" is no whole number`,
		"a: !!int true":             "JSON has no number true",
		"a: !!float abc":            "JSON has no number abc",
		"a: !!float '[1]'":          "JSON has no number [1]",
		"a: !!float ''":             "JSON has no number ",
		"a: !!float .":              "JSON has no number .",
		"a: !!int 0x-1":             "JSON has no number 0x-1",
		"a: !!float e5":             "JSON has no number e5",
		"a: 0644":                   `line 1, column 4: 0644 is octal in some versions of YAML and decimal in others: write 0o644, 644 or "0644"`,
		"a: -.INF":                  "JSON has no number -.INF",
		"a: *b":                     "unknown anchor",
		"a: \"\xff\"":               "UTF-8",
		"a: .inf":                   "JSON has no number .inf",
		"a: !mine x":                "JSON has nothing like !mine",
		"a: !!binary eA==":          "JSON has nothing like !!binary",
		"&a [*a]":                   "levels",
		bomb:                        "1 MiB",
	} {
		if got, _, err := yamlToJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %.40s, %v; want %q", text, got, err, want)
		}
	}
}

// TestJSONSurvivesYAML: what is shown as YAML and written back as it is changes nothing.
func TestJSONSurvivesYAML(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		`{"z":1,"a":{"x":[],"b":{}},"m":[1,[2,{"k":null}]]}`,
		`{"yes":"no","on":true,"n":"~","null":"null","1":"1","t":"true","f":"1.5","d":"2026-01-02","hex":"0x1F","big":"1e400"}`,
		`{"num":[0,-0,12345678901234567890123,1.10,1e3,1E-7,1e400]}`,
		`{"":"","text":"two\nlines","tail":"a\n\n","tab":"\tx","quote":"'\"","hash":"a # b","colon":"a: b","dash":"- a","esc":"\u001b[2J\u202e"}`,
		`"text"`, `5`, `null`, `[]`, `{}`, `{"<<":{"a":1}}`,
	} {
		text, err := jsonToYAML([]byte(value))
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		back, comments, err := yamlToJSON(text)
		if err != nil || comments || !sameJSON(back, []byte(value)) {
			t.Errorf("%s became\n%s and that %s, %v", value, text, back, err)
		}
	}
}
