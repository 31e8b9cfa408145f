package config

import (
	"bytes"
	"crypto/rand"
	"reflect"
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

// version makes a version of edits "path:before>after", where "-" is absence.
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
		v.Edits = append(v.Edits, Edit{Path: path, Before: value(before), After: value(after)})
	}
	return v
}

func TestStood(t *testing.T) {
	t.Parallel()
	versions := []Version{
		version(3, "a:->1", "b:0>1"),
		version(4, "a:1>2"),
		version(6, "b:by hand>2", "c:->1"), // somebody wrote b past the store
		version(7, "a:2>-", "d:old>new"),
	}
	now := map[string][]byte{"b": []byte("now"), "e": []byte("never written here")}
	tests := map[int64]map[string]string{
		3: {"a": "1", "b": "1", "c": "-", "d": "old"},
		4: {"a": "2", "b": "1", "c": "-", "d": "old"},
		6: {"a": "2", "b": "2", "c": "1", "d": "old"},
		7: {"a": "-", "b": "2", "c": "1", "d": "new"},
		0: {"a": "-", "b": "now", "c": "-", "d": "-"},
	}
	for number, want := range tests {
		state, err := stood(versions, now, number)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for path, value := range state {
			got[path] = string(value)
			if value == nil {
				got[path] = "-"
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("version %d: %v, want %v", number, got, want)
		}
	}
	if _, err := stood(versions, now, 5); err == nil || !strings.Contains(err.Error(), "the history has 3 to 7") {
		t.Errorf("a version that is not there: %v", err)
	}
	if _, err := stood(nil, now, 5); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("a history that is not there: %v", err)
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
