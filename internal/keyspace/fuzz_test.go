package keyspace

import (
	"errors"
	"strings"
	"testing"
)

// nasty names, valid and not, from which the fuzzer and the plain test start.
var nasty = []string{
	"", "a", "jobs", "jobs/1", "jobs0", "jobs/", "jobs/@", "jobs/@/x", "@", "%40", "@/@", "%", "%25", "%2525", "..", "../b", "a/../../b",
	"\x00", "\xff\xff", "\x01", "\x7f", "\u009b", "\u202e", "\ufffd", "\u00e9", "e\u0301", "\xe6\x9d", "\xc2", "a//b", "/a", " ", strings.Repeat("ab/", 200),
}

// FuzzName: a good name round-trips, its keys stand in the range of its kind, and a bad one is refused by name.
func FuzzName(f *testing.F) {
	for _, name := range nasty {
		f.Add(name, "slot")
	}
	f.Add("a", "x/@/y")
	f.Fuzz(func(t *testing.T, name, slot string) {
		s := space(t, "etcdkit")
		key, err := s.Name("lock", name)
		line, lineErr := s.Line("lock", name)
		if (err == nil) != (lineErr == nil) {
			t.Fatalf("%q: Name says %v, Line says %v", name, err, lineErr)
		}
		if err != nil {
			if !errors.Is(err, ErrBadName) {
				t.Fatalf("%q: %v", name, err)
			}
			return
		}
		if got, rest, ok := s.Parse("lock", key); got != name || rest != "" || !ok {
			t.Fatalf("Parse(%q) = %q, %q, %v; want %q", key, got, rest, ok, name)
		}
		if got, rest, ok := s.Parse("lock", line+"/"+slot); slot != "" && (got != name || rest != slot || !ok) {
			t.Fatalf("Parse(%q) = %q, %q, %v; want %q, %q", line+"/"+slot, got, rest, ok, name, slot)
		}
		for _, k := range []string{key, line + "/" + slot} {
			if !strings.HasPrefix(k, s.Kind("lock")) || !within(k, s.Kind("lock")) {
				t.Fatalf("%q is outside its kind", k)
			}
			if within(k, s.Kind("loc")) || within(k, s.Kind("lock0")) || within(k, s.Kind("session")) {
				t.Fatalf("%q is inside another kind", k)
			}
		}
	})
}

// FuzzStrangers: two names share no key, and neither key nor range of one lies in the range of the other.
func FuzzStrangers(f *testing.F) {
	for i, a := range nasty {
		f.Add(a, nasty[(i+1)%len(nasty)])
		f.Add(a, a+"/1")
		f.Add(a, "@/"+a)
	}
	f.Add("\x01", "%01")
	f.Fuzz(func(t *testing.T, a, b string) {
		s := space(t, "etcdkit")
		keyA, errA := s.Name("lock", a)
		keyB, errB := s.Name("lock", b)
		if errA != nil || errB != nil || a == b {
			return
		}
		rangeA, rangeB := keyA+"/@/", keyB+"/@/"
		switch {
		case keyA == keyB:
			t.Fatalf("%q and %q share the key %q", a, b, keyA)
		case within(keyA, rangeB) || within(keyB, rangeA):
			t.Fatalf("the key of %q or %q lies in the other's range", a, b)
		case rangeA < End(rangeB) && rangeB < End(rangeA):
			t.Fatalf("the ranges of %q and %q overlap", a, b)
		}
	})
}

// FuzzParse: nothing makes it panic, and what it accepts is spelled in exactly one way.
func FuzzParse(f *testing.F) {
	for _, name := range nasty {
		f.Add("etcdkit/lock/" + name)
		f.Add("etcdkit/lock/a/@/" + name)
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, key string) {
		s := space(t, "etcdkit")
		name, rest, ok := s.Parse("lock", key)
		if !ok {
			if name != "" || rest != "" {
				t.Fatalf("Parse(%q) = %q, %q, false", key, name, rest)
			}
			return
		}
		again, err := s.Name("lock", name)
		if rest != "" {
			again, err = s.Line("lock", name)
			again += "/" + rest
		}
		if err != nil || again != key {
			t.Fatalf("Parse(%q) = %q, %q, which is spelled %q, %v", key, name, rest, again, err)
		}
	})
}

// FuzzEnd: the range of a prefix holds what begins with it, and nothing else.
func FuzzEnd(f *testing.F) {
	f.Add("a/", "a/b")
	f.Add("a\xff", "b")
	f.Add("\xff", "\xff\xff")
	f.Fuzz(func(t *testing.T, prefix, key string) {
		if got, want := within(key, prefix), strings.HasPrefix(key, prefix); got != want {
			t.Fatalf("%q in the range of %q: %v, begins with it: %v", key, prefix, got, want)
		}
	})
}

// FuzzCheck: a prefix or key that is accepted makes keys that etcd accepts and that can be parsed.
func FuzzCheck(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
		f.Add("/" + s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := CheckKey(text); err == nil && (text == "" || strings.HasSuffix(text, "/")) {
			t.Fatalf("CheckKey(%q) accepts it", text)
		}
		s, err := New(text)
		if err != nil {
			return
		}
		line, err := s.Line("lock", "a/b")
		if err != nil {
			t.Fatal(err)
		}
		if name, rest, ok := s.Parse("lock", line+"/slot"); name != "a/b" || rest != "slot" || !ok {
			t.Fatalf("under the prefix %q: %q, %q, %v", text, name, rest, ok)
		}
	})
}

// within tells whether etcd would return the key for the range of the prefix.
func within(key, prefix string) bool {
	end := End(prefix)
	return key >= prefix && (end == "\x00" || key < end)
}
