package discovery

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	full := record{
		Format: 1, State: draining, TTL: 10,
		Instance: Instance{ID: "a", Addr: "[fe80::1%eth0]:80", Ports: map[string]int{"x": 1}, Zone: "z", Weight: 2, Version: "v", Protocol: "p", Labels: map[string]string{"l": "<>"}},
	}
	text, err := full.encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := decodeRecord("a", []byte(text)); err != nil || !reflect.DeepEqual(*back, full) {
		t.Errorf("%s is read as %+v, %v", text, back, err)
	}
	tests := []struct{ text, want string }{
		{`{"addr":"a:1"}`, ""},
		{`{"addr":"a:1","id":"a","later":{"x":1}}`, ""},
		{`{"addr":"[::1]:1","v":1}`, ""},
		{`{"addr":"::1:1"}`, "addr"},
		{`{"addr":"a:1","id":"b"}`, `"b"`},
		{`{"addr":"a:1","v":2}`, "format"},
		{`{"addr":"a:1","state":"x"}`, "state"},
		{`{"addr":1}`, "addr"},
		{`{"addr":"a:1"}}`, "invalid"},
		{`{"addr":"a:1","ports":{"":1}}`, "ports"},
		{`{"addr":"a:1","labels":{"":"1"}}`, "labels"},
		{strings.Repeat(" ", maxSize) + `{"addr":"a:1"}`, "bytes"},
	}
	for _, test := range tests {
		_, err := decodeRecord("a", []byte(test.text))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.80s: %v, want %q", test.text, err, test.want)
		}
	}
	for seconds, want := range map[int64]time.Duration{0: time.Minute, -1: time.Minute, 1 << 60: time.Minute, 5: 5 * time.Second} {
		if got := (&record{TTL: seconds}).ttl(time.Minute); got != want {
			t.Errorf("TTL %d is %v, want %v", seconds, got, want)
		}
	}
}

func TestEndpointRecord(t *testing.T) {
	t.Parallel()
	inst := Instance{ID: "x/y", Addr: "a:1", Ports: map[string]int{"x": 1}, Zone: "z", Weight: 2, Version: "v", Protocol: "p", Labels: map[string]string{"l": "1"}}
	text, err := encodeEndpoint(&inst)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := decodeEndpoint("x/y", []byte(text)); err != nil || !reflect.DeepEqual(back.Instance, inst) {
		t.Errorf("%s is read as %+v, %v", text, back, err)
	}
	for text, ok := range map[string]bool{
		`{"Op":0,"Addr":"a:1","Metadata":null}`: true, `{"Op":0,"Addr":"a:1","Metadata":"text"}`: true, `{"Addr":"a:1","Metadata":{"weight":-1}}`: true,
		`{"Addr":"a:1","Metadata":{"zone":1}}`: true, `{"Op":1,"Addr":"a:1"}`: false, `{"Op":0,"Addr":"a"}`: false, `{}`: false, `x`: false,
	} {
		r, err := decodeEndpoint("a", []byte(text))
		if (err == nil) != ok || ok && !reflect.DeepEqual(r.Instance, Instance{ID: "a", Addr: "a:1"}) {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}

func TestSight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		s    sight
		mod  int64
		want bool
	}{
		{sight{}, 10, false},                      // nothing was seen yet
		{sight{revision: 5, mod: 0}, 10, false},   // it was seen to be absent before
		{sight{revision: 8, mod: 8}, 10, false},   // an older write
		{sight{revision: 10, mod: 10}, 10, false}, // ours
		{sight{revision: 20, mod: 10}, 10, false}, // still ours
		{sight{revision: 20, mod: 0}, 10, true},   // deleted
		{sight{revision: 20, mod: 20}, 10, true},  // written by somebody else
	} {
		if got := test.s.contradicts(test.mod, test.mod); got != test.want {
			t.Errorf("%+v after %d: %v", test.s, test.mod, got)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add("a", []byte(`{"addr":"a:1"}`))
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		rec, err := decodeRecord(id, value)
		if err != nil || checkID(id) != nil {
			return
		}
		text, err := rec.encode()
		if err != nil {
			return // longer, as what JSON escapes
		}
		if back, err := decodeRecord(id, []byte(text)); err != nil || !reflect.DeepEqual(back.Instance, rec.Instance) && len(rec.Ports)+len(rec.Labels) > 0 {
			t.Errorf("%q became %q: %v", value, text, err)
		}
	})
}
