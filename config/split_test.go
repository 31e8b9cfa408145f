package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// membersBy is what encoding/json says of an object: names in their order, each value as it stands.
func membersBy(t *testing.T, doc []byte) (names, values []string) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(doc))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		name, err := dec.Token()
		var raw json.RawMessage
		if err := errors.Join(err, dec.Decode(&raw)); err != nil {
			t.Fatal(err)
		}
		names, values = append(names, name.(string)), append(values, string(raw))
	}
	return names, values
}

func checkMembers(t *testing.T, doc []byte) {
	t.Helper()
	wantNames, wantValues := membersBy(t, doc)
	var names, values []string
	err := eachMember(doc, func(name string, raw []byte) error {
		names, values = append(names, name), append(values, string(raw))
		return nil
	})
	if err != nil || !reflect.DeepEqual(names, wantNames) || !reflect.DeepEqual(values, wantValues) {
		t.Errorf("%s: %q with %q (%v), want %q with %q", doc, names, values, err, wantNames, wantValues)
	}
}

// TestEachMember: objects come apart as they do in encoding/json.
func TestEachMember(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{}`, "\t{ \r\n} ", `{"a":1}`, ` { "a" : 1 , "b" : null } `, `{"a":{"b":[1,{"c":"}"}]},"d":[[],{}]}`,
		`{"\"":"\\","\\":"\"","\u00e4\ud83d\ude00":"\\\"]}"}`, "{\"\xff\":\"\xff\",\"ä\":\"ä\"}", `{"":""}`, `{"a":1,"a":2}`,
		`{"a":-1.5e+7,"b":true,"c":"x,y","d":[1 , 2 ]}`,
	} {
		checkMembers(t, []byte(doc))
	}
}

// The same for whatever can be written.
func TestEachMemberOfAnything(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		doc := randomObject(r, 4)
		if !json.Valid(doc) {
			t.Fatalf("the test wrote %s", doc)
		}
		checkMembers(t, doc)
	}
}

func randomObject(r *rand.Rand, depth int) []byte {
	var b bytes.Buffer
	space := func() { b.WriteString([]string{"", "", " ", "\n\t"}[r.IntN(4)]) }
	b.WriteByte('{')
	for i := range r.IntN(5) {
		if i > 0 {
			b.WriteByte(',')
		}
		space()
		b.Write(randomText(r))
		space()
		b.WriteByte(':')
		space()
		b.Write(randomValue(r, depth))
		space()
	}
	b.WriteByte('}')
	return b.Bytes()
}

func randomValue(r *rand.Rand, depth int) []byte {
	switch kind := r.IntN(6); {
	case kind == 0 && depth > 0:
		return randomObject(r, depth-1)
	case kind == 1 && depth > 0:
		return fmt.Appendf(nil, "[%s, %s]", randomValue(r, depth-1), randomValue(r, depth-1))
	case kind == 2:
		return []byte([]string{"true", "false", "null"}[r.IntN(3)])
	case kind == 3:
		return fmt.Append(nil, r.NormFloat64())
	}
	return randomText(r)
}

func randomText(r *rand.Rand) []byte {
	var b strings.Builder
	b.WriteByte('"')
	for range r.IntN(6) {
		b.WriteString([]string{"a", `\"`, `\\`, "{", "}", "[", "]", ",", ":", " ", `\u0041`, "ä", "\xff"}[r.IntN(13)])
	}
	b.WriteByte('"')
	return []byte(b.String())
}

// leaves are what quick decodes, and what it must leave alone.
type leaves struct {
	S string
	B bool
	I int
	T int8
	U uint8
	F float64
	N json.Number
	A any
}

// TestQuickAgrees: a leaf is what encoding/json makes of it, and where that finds an error there is one.
func TestQuickAgrees(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`"a"`, `""`, `"\u0041"`, `"12"`, `"true"`, `0`, `-0`, `1`, `-1`, `127`, `128`, `-129`, `255`, `256`, `1.0`, `1e2`, `1.5`,
		fmt.Sprint(uint64(math.MaxUint64)), `true`, `false`, `null`, `{}`, `[]`,
	} {
		for _, field := range []string{"S", "B", "I", "T", "U", "F", "N", "A"} {
			doc := fmt.Sprintf(`{%q: %s }`, field, raw)
			def := leaves{S: "default", B: true, I: 1, T: 1, U: 1, F: 1, N: "1", A: 1.0}
			want := def
			bad := json.Unmarshal([]byte(doc), &want)
			got, err := decodeText(t, def, doc)
			if (err == nil) != (bad == nil) || err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s became %+v (%v), want %+v (%v)", doc, got, err, want, bad)
			}
		}
	}
}

// TestTwiceAmongMany: a name is found twice however many there are.
func TestTwiceAmongMany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, few - 1, few, few + 1, 100} {
		doc := "{"
		for i := range n {
			doc += fmt.Sprintf(`"k%d":"",`, i)
		}
		for i := range n {
			_, err := decodeText(t, map[string]string{}, fmt.Sprintf(`%s"k%d":""}`, doc, i))
			if want := fmt.Sprintf(`"k%d" is there twice`, i); err == nil || err.Error() != want {
				t.Errorf("among %d: %v, want %s", n, err, want)
			}
		}
		if m, err := decodeText(t, map[string]string{}, doc+`"other":""}`); err != nil || len(m) != n+1 {
			t.Errorf("%d different ones: %d, %v", n+1, len(m), err)
		}
	}
}

// TestPathsOfFaults: they are made on the way back, through lists, maps and pointers.
func TestPathsOfFaults(t *testing.T) {
	t.Parallel()
	type deep struct {
		Maps map[string][]*map[string]int
	}
	for doc, want := range map[string]string{
		`{"maps":{"a":[{},{"b":"x"}]}}`:      "Maps.a.1.b: it is a string, which is no int",
		`{"maps":{"":[{"b":"x"}]}}`:          "Maps.0.b: it is a string, which is no int",
		`{"maps":{"a":[1]}}`:                 "Maps.a.0: it is a number, not an object",
		`{"maps":{"a":[{"b":1,"b":2}]}}`:     `Maps.a.0: "b" is there twice`,
		`{"maps":{"a":[{"b":1}]},"other":1}`: "unknown field other",
	} {
		if _, err := decodeText(t, deep{}, doc); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", doc, err, want)
		}
	}
}
