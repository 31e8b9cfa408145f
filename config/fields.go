package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is where encoding/json would put a member.
type field struct {
	name   string
	index  []int // of the field, through embedded structs
	tagged bool
	quoted bool // the tag has the option "string"
}

// fieldList is all of a struct's, in the order in which they stand.
type fieldList []field

// fieldCache keeps lists while one value is decoded: there may be thousands of a type in it.
type fieldCache map[reflect.Type]fieldList

func (c fieldCache) of(t reflect.Type) fieldList {
	if list, ok := c[t]; ok {
		return list
	}
	list := fieldsOf(t)
	c[t] = list
	return list
}

// find returns the field with that name, or one that differs in case alone; nil if there is none.
func (l fieldList) find(name string) *field {
	same := func(f field) bool { return f.name == name }
	fold := func(f field) bool { return strings.EqualFold(f.name, name) }
	for _, match := range []func(field) bool{same, fold} {
		if i := slices.IndexFunc(l, match); i >= 0 {
			return &l[i]
		}
	}
	return nil
}

// in returns the field of a struct, and makes the embedded pointers on the way.
func (f *field) in(v reflect.Value) reflect.Value {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v
}

// fieldsOf lists the fields that encoding/json knows, by its rules: of several with one name the least deep counts, of those the tagged
// one, and if that does not decide, none.
func fieldsOf(t reflect.Type) fieldList {
	var all fieldList
	collect(&all, t, nil, map[reflect.Type]bool{})
	var kept fieldList
	for i, f := range all {
		wins := func(other field) bool {
			return cmp.Or(cmp.Compare(len(other.index), len(f.index)), cmp.Compare(rank(f), rank(other))) <= 0
		}
		lost := false
		for j, other := range all {
			lost = lost || i != j && other.name == f.name && wins(other)
		}
		if !lost {
			kept = append(kept, f)
		}
	}
	return kept
}

func rank(f field) int {
	if f.tagged {
		return 1
	}
	return 0
}

// isTagName tells whether encoding/json takes a tag's name. It passes over one that it does not take.
func isTagName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return true
}

// collect appends the fields of a struct and of those embedded in it, each of which is gone into once.
func collect(all *fieldList, t reflect.Type, index []int, within map[reflect.Type]bool) {
	if within[t] {
		return
	}
	within[t] = true
	defer delete(within, t)
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(slices.Clone(index), i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !isTagName(name) {
			name = ""
		}
		if sf.Tag.Get("json") == "-" {
			continue
		}
		inner := sf.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		embedded := sf.Anonymous && inner.Kind() == reflect.Struct
		if embedded && name == "" && (sf.IsExported() || sf.Type.Kind() == reflect.Struct) {
			collect(all, inner, at, within)
			continue
		}
		if !sf.IsExported() {
			continue
		}
		*all = append(*all, field{
			name: cmp.Or(name, sf.Name), index: at, tagged: name != "",
			quoted: slices.Contains(strings.Split(options, ","), "string"),
		})
	}
}
