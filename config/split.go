package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// What is here takes JSON apart that json.Valid has found good, and checks nothing again: encoding/json alone would look at each byte once
// for every level above it.

// eachMember walks over the members of an object, with their values as they stand.
func eachMember(doc []byte, visit func(name string, raw []byte) error) error {
	i := skipSpace(doc, skipSpace(doc, 0)+1) // behind the brace
	for doc[i] != '}' {
		end := skipString(doc, i)
		name := unquote(doc[i:end])
		begin := skipSpace(doc, skipSpace(doc, end)+1) // behind the colon
		end = skipValue(doc, begin)
		if err := visit(name, doc[begin:end:end]); err != nil {
			return err
		}
		i = skipSpace(doc, end)
		if doc[i] == ',' {
			i = skipSpace(doc, i+1)
		}
	}
	return nil
}

// unquote returns what a string says.
func unquote(raw []byte) string {
	if text, ok := plain(raw); ok {
		return text
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		panic("config: " + err.Error()) // which refuses the update; it cannot be, since the document is valid
	}
	return text
}

// plain returns what a string says if it is one without escapes.
func plain(raw []byte) (text string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' || skipString(raw, 0) != len(raw) {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	for _, c := range raw {
		if c == '\\' {
			return "", false
		}
	}
	return string(raw), utf8.Valid(raw) // else encoding/json puts replacement characters in
}

// level is an object or a list on the way down to a token.
type level struct {
	object bool
	named  bool // the name of the member is behind
	seen   names
	name   string // of the member
	index  int    // of the element
}

// unique finds a field that is twice in one object, however deep that is. It looks at each byte once.
func unique(doc []byte) error {
	var path []*level
	for i := 0; i < len(doc); i++ {
		var in *level
		if len(path) > 0 {
			in = path[len(path)-1]
		}
		switch doc[i] {
		case '{', '[':
			path = append(path, &level{object: doc[i] == '{'})
		case '}', ']':
			path = path[:len(path)-1]
		case ',':
			in.named = false
			in.index++
		case '"':
			end := skipString(doc, i)
			if in != nil && in.object && !in.named {
				in.name, in.named = unquote(doc[i:end]), true
				if in.seen.add(in.name) {
					return twice(path)
				}
			}
			i = end - 1
		}
	}
	return nil
}

// twice says which name is there a second time, and where.
func twice(path []*level) error {
	last := len(path) - 1
	err := fmt.Errorf("%q is there twice", path[last].name)
	for _, l := range slices.Backward(path[:last]) {
		if l.object {
			err = at(l.name, err)
		} else {
			err = at(strconv.Itoa(l.index), err)
		}
	}
	return err
}

// skipSpace returns where the next token begins.
func skipSpace(doc []byte, i int) int {
	for doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\t' || doc[i] == '\r' {
		i++
	}
	return i
}

// skipString returns where the string ends that begins at i.
func skipString(doc []byte, i int) int {
	for i++; doc[i] != '"'; i++ {
		if doc[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns where the value ends that begins at i and stands in an object or a list.
func skipValue(doc []byte, i int) int {
	for depth := 0; ; {
		switch doc[i] {
		case '"':
			i = skipString(doc, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default: // part of a number or a word, or a colon
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
}

// names is a set. Few of them are found sooner in a list than in a map.
type names struct {
	list []string
	set  map[string]bool
}

// few is where a list is left for a map.
const few = 16

func (s *names) has(name string) bool {
	if s.set != nil {
		return s.set[name]
	}
	return slices.Contains(s.list, name)
}

// add is true if the name was there already.
func (s *names) add(name string) bool {
	if s.has(name) {
		return true
	}
	switch {
	case s.set != nil:
		s.set[name] = true
	case len(s.list) < few:
		s.list = append(s.list, name)
	default:
		s.set = map[string]bool{name: true}
		for _, name := range s.list {
			s.set[name] = true
		}
	}
	return false
}
