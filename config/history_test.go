package config

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
)

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 100<<10)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for _, value := range [][]byte{nil, {}, []byte("a"), []byte(strings.Repeat("line\n", 10_000)), noise} {
		c := newContent(value)
		data := encode(record{Format: 1, ID: "id", Changes: map[string]recorded{"a/b": {Before: &c, After: c}}})
		var got record
		if err := decode(data, &got); err != nil {
			t.Fatal(err)
		}
		for _, back := range [][]byte{got.Changes["a/b"].Before.bytes(), got.Changes["a/b"].After.bytes()} {
			if !same(back, value) {
				t.Errorf("%d bytes (nil: %v) came back as %d (nil: %v)", len(value), value == nil, len(back), back == nil)
			}
		}
		if len(value) == 50_000 && len(data) > 2_000 {
			t.Errorf("text of %d bytes is kept in %d", len(value), len(data))
		}
	}
	bomb := encode(strings.Repeat("0", maxRecord))
	for _, junk := range [][]byte{nil, []byte("junk"), {0x1f, 0x8b, 0}, []byte("{"), bomb} {
		if err := decode(junk, new(record)); err == nil {
			t.Errorf("%.10q was decoded", junk)
		}
	}
}

// version makes a version of edits "path:before>after", where "-" is absence and "?" not known.
func version(number int64, edits ...string) Version {
	v := Version{Number: number}
	value := func(text string) []byte {
		if text == "-" {
			return nil
		}
		return []byte(text)
	}
	for _, edit := range edits {
		path, values, _ := strings.Cut(edit, ":")
		before, after, _ := strings.Cut(values, ">")
		e := Edit{Path: path, Before: value(before), After: value(after), Unknown: before == "?"}
		if e.Unknown {
			e.Before = nil
		}
		v.Edits = append(v.Edits, e)
	}
	return v
}

// left spells out what a version left: "path:value", with "-" for what is absent and "?" for what is not known.
func left(p past) string {
	var all []string
	for path, value := range p.values {
		text := string(value)
		if value == nil {
			text = "-"
		}
		all = append(all, path+":"+text)
	}
	for path := range p.unknown {
		all = append(all, path+":?")
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestStood(t *testing.T) {
	t.Parallel()
	all := versions{newest: 7, list: []Version{
		version(3, "a:->1", "b:0>1"),
		version(4, "a:1>2"),
		version(5, "b:by hand>2", "c:->1"), // somebody wrote b past the store
		version(6, "a:2>-", "d:old>new"),
		version(7, "e:?>1"),
	}}
	now := standing{values: map[string][]byte{"b": []byte("now"), "f": []byte("never written here")}}
	tests := map[int64]string{
		3: "a:1 b:1 c:- d:old e:?",
		4: "a:2 b:1 c:- d:old e:?",
		5: "a:2 b:2 c:1 d:old e:?",
		6: "a:- b:2 c:1 d:new e:?",
		7: "a:- b:2 c:1 d:new e:1",
		0: "a:- b:now c:- d:- e:-",
	}
	for number, want := range tests {
		p, err := all.stood(now, number)
		if got := left(p); err != nil || got != want || p.missing != 0 {
			t.Errorf("version %d: %s, %v, want %s", number, got, err, want)
		}
	}
	if _, err := all.stood(now, 8); err == nil || !strings.Contains(err.Error(), "the history has 3 to 7") {
		t.Errorf("a version that is not there: %v", err)
	}
	if _, err := new(versions).stood(now, 5); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("a history that is not there: %v", err)
	}
}

// TestStoodWithoutSome: what a version that is missing may have written is not known, and not taken from what a later one found.
func TestStoodWithoutSome(t *testing.T) {
	t.Parallel()
	all := versions{newest: 8, list: []Version{
		version(1, "a:->1", "b:->1", "c:->1", "d:->1"),
		// 2 is missing.
		version(3, "a:by hand>3", "e:->3"),
		version(4, "b:2>4"),
		// 5 is missing.
		version(6, "e:5>6", "f:->6"),
		version(7, "c:5>7"),
	}}
	for i := range all.list {
		all.list[i].Revision = all.list[i].Number * 10
	}
	now := standing{
		values:    map[string][]byte{"c": []byte("7"), "d": []byte("1")},
		revisions: map[string]int64{"c": 70, "d": 10},
	}
	tests := []struct {
		number  int64
		want    string
		missing int64
	}{
		{1, "a:1 b:1 c:1 d:1 e:? f:?", 8},
		{3, "a:3 b:2 c:? d:? e:3 f:?", 8},
		{4, "a:3 b:4 c:? d:? e:3 f:?", 8},
		{6, "a:? b:? c:5 d:? e:6 f:6", 8},
		{7, "a:? b:? c:7 d:? e:6 f:6", 8},
	}
	for _, test := range tests {
		p, err := all.stood(now, test.number)
		if got := left(p); err != nil || got != test.want || p.missing != test.missing {
			t.Errorf("version %d: %s, %v, version %d missing; want %s", test.number, got, err, p.missing, test.want)
		}
	}
	all.newest = 7
	if p, err := all.stood(now, 7); err != nil || left(p) != "a:- b:- c:7 d:1 e:6 f:6" || p.missing != 0 {
		t.Errorf("the newest: %s, %v", left(p), err) // nobody has written d since, and a and b are not there
	}
	now.revisions["d"] = 75
	if p, err := all.stood(now, 7); err != nil || left(p) != "a:- b:- c:7 d:? e:6 f:6" {
		t.Errorf("the newest, and d was written by hand: %s, %v", left(p), err)
	}
	if _, err := all.stood(now, 5); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a version that is missing: %v", err)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	seen := map[string]map[string][]byte{}
	for _, values := range []map[string][]byte{{}, raw("=a"), raw("a="), raw("a=b"), raw("a=b", "c="), raw("a=bc"), raw("ab=c"), raw("a=", "b=")} {
		d := digest(values)
		if other, ok := seen[d]; ok {
			t.Errorf("%q and %q have the same digest", other, values)
		}
		seen[d] = values
	}
	if digest(nil) != digest(map[string][]byte{}) || !bytes.Equal([]byte(digest(raw("a=b"))), []byte(digest(raw("a=b")))) {
		t.Error("one state has two digests")
	}
}
