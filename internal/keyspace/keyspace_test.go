package keyspace

import (
	"errors"
	"strings"
	"testing"
)

func space(t testing.TB, prefix string) Space {
	t.Helper()
	s, err := New(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeysAreSpelledLikeThis(t *testing.T) {
	t.Parallel()
	s := space(t, "etcdkit")
	for name, want := range map[string]string{
		"jobs":            "etcdkit/lock/jobs",
		"jobs/1":          "etcdkit/lock/jobs/1",
		"Größe/東京 1":      "etcdkit/lock/Größe/東京 1",
		"50%":             "etcdkit/lock/50%25",
		"@":               "etcdkit/lock/%40",
		"a/@/b":           "etcdkit/lock/a/%40/b",
		"me@home/you@":    "etcdkit/lock/me@home/you@",
		"line\nbreak\x7f": "etcdkit/lock/line%0Abreak%7F",
		"\u009b2J":        "etcdkit/lock/%C2%9B2J",
		"\xff\xfe":        "etcdkit/lock/%FF%FE",
		"\xe6\x9d":        "etcdkit/lock/%E6%9D",
		"\ufffd":          "etcdkit/lock/\ufffd",
		"...":             "etcdkit/lock/...",
		" ":               "etcdkit/lock/ ",
		"\u00e9":          "etcdkit/lock/\u00e9",  // composed
		"e\u0301":         "etcdkit/lock/e\u0301", // and not: another name
	} {
		key, err := s.Name("lock", name)
		if err != nil || key != want {
			t.Errorf("Name(%q) = %q, %v; want %q", name, key, err, want)
		}
		line, err := s.Line("lock", name)
		if err != nil || line != want+"/@" {
			t.Errorf("Line(%q) = %q, %v; want %q", name, line, err, want+"/@")
		}
	}
	if got := s.Kind("lock"); got != "etcdkit/lock/" {
		t.Errorf("Kind = %q", got)
	}
	if got := s.Session(0x694d8f2a6c1e1c05); got != "etcdkit/session/694d8f2a6c1e1c05" {
		t.Errorf("Session = %q", got)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	t.Parallel()
	s := space(t, "etcdkit")
	for name, why := range map[string]string{
		"":                          `bad lock name "": it is empty`,
		"/":                         `empty segment`,
		"/a":                        `empty segment`,
		"a/":                        `empty segment`,
		"a//b":                      `bad lock name "a//b": it has an empty segment`,
		".":                         `the segment "."`,
		"../a":                      `the segment ".."`,
		"a/./b":                     `the segment "."`,
		"a/..":                      `the segment ".."`,
		"a\x00b":                    `bad lock name "a\x00b": it contains a NUL byte`,
		strings.Repeat("x", 513):    `...: 513 bytes are more than 512`,
		strings.Repeat("\x01", 513): `...: 513 bytes are more than 512`,
	} {
		if key, err := s.Name("lock", name); key != "" || !errors.Is(err, ErrBadName) || !strings.Contains(err.Error(), why) {
			t.Errorf("Name(%q) = %q, %v; want an error with %q", name, key, err, why)
		}
		if line, err := s.Line("lock", name); line != "" || !errors.Is(err, ErrBadName) {
			t.Errorf("Line(%q) = %q, %v; want ErrBadName", name, line, err)
		}
	}
	if _, err := s.Name("lock", strings.Repeat("\xff", 512)); err != nil {
		t.Errorf("512 bytes, each to be escaped: %v", err)
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"etcdkit", "/etcdkit", "/prod/kit", "prod/kit", "a%b/@", "ü", strings.Repeat("x", 512)} {
		s, err := New(good)
		if err != nil || s.Kind("lock") != good+"/lock/" {
			t.Errorf("New(%q): %q, %v; want it verbatim", good, s.Kind("lock"), err)
		}
	}
	for _, bad := range []string{"", "/", "a/", "//a", "a//b", "a\x00", "\xff", strings.Repeat("x", 513)} {
		if _, err := New(bad); !errors.Is(err, ErrBadName) || !strings.HasPrefix(err.Error(), `bad prefix "`) {
			t.Errorf("New(%q): %v; want ErrBadName and the prefix", bad, err)
		}
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"/legacy/jobs", "a//b", "\xff", "a\nb"} {
		if err := CheckKey(good); err != nil {
			t.Errorf("CheckKey(%q): %v", good, err)
		}
	}
	for _, bad := range []string{"", "/", "jobs/", "a\x00", strings.Repeat("x", 513)} {
		if err := CheckKey(bad); !errors.Is(err, ErrBadName) || !strings.HasPrefix(err.Error(), `bad key "`) {
			t.Errorf("CheckKey(%q): %v; want ErrBadName and the key", bad, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	type parsed struct {
		name, rest string
		ok         bool
	}
	s := space(t, "/prod/kit")
	for key, want := range map[string]parsed{
		"/prod/kit/lock/jobs":           {"jobs", "", true},
		"/prod/kit/lock/jobs/1":         {"jobs/1", "", true},
		"/prod/kit/lock/jobs/@/s1":      {"jobs", "s1", true},
		"/prod/kit/lock/a/%40/@/x/@/y":  {"a/@", "x/@/y", true},
		"/prod/kit/lock/%FF/@/\x00\xff": {"\xff", "\x00\xff", true},
		"/prod/kit/lock":                {},
		"/prod/kit/lock/":               {},
		"/prod/kit/locks/jobs":          {},
		"/prod/kit/election/jobs":       {},
		"prod/kit/lock/jobs":            {},
		"/prod/kit/lock/@":              {},
		"/prod/kit/lock/@/s1":           {}, // belongs to no name
		"/prod/kit/lock/jobs/@":         {}, // a line, and nothing in it
		"/prod/kit/lock/jobs/@/":        {},
		"/prod/kit/lock/jobs/@x/s1":     {},
		"/prod/kit/lock/jobs//@/s1":     {},
		"/prod/kit/lock/%":              {},
		"/prod/kit/lock/%4":             {},
		"/prod/kit/lock/%zz":            {},
		"/prod/kit/lock/%ff":            {}, // lower case
		"/prod/kit/lock/%41":            {}, // needs no escape
		"/prod/kit/lock/a%40":           {}, // not at the start of a segment
		"/prod/kit/lock/a\nb":           {}, // should be escaped
		"/prod/kit/lock/%00":            {}, // a bad name
		"/prod/kit/lock/..":             {},
	} {
		name, rest, ok := s.Parse("lock", key)
		if got := (parsed{name, rest, ok}); got != want {
			t.Errorf("Parse(%q) = %+v, want %+v", key, got, want)
		}
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"etcdkit/lock/": "etcdkit/lock0",
		"a\xff":         "b",
		"a\xfe":         "a\xff",
		"\xff\xff":      "\x00",
		"":              "\x00",
	} {
		if got := End(prefix); got != want {
			t.Errorf("End(%q) = %q, want %q", prefix, got, want)
		}
	}
}
