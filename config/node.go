package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// node is a part of what stands in etcd: of one JSON document, or of a tree of keys.
type node struct {
	raw     []byte           // what stands here; nil if nothing does
	bare    bool             // it comes from a key of a tree, where text needs no quotes
	sub     map[string]*node // what stands below, in a tree; nil if nothing does
	verdict verdict          // on raw
}

// errNotUTF8 refuses what encoding/json would take with replacement characters in the place of what is no text.
var errNotUTF8 = errors.New("it is not UTF-8")

// verdict is whether something is JSON, asked once: what is a part of something valid is valid.
type verdict int8

const (
	unasked verdict = iota
	isJSON
	isNoJSON
)

func (n *node) isJSON() bool {
	if n.verdict == unasked {
		n.verdict = isNoJSON
		if json.Valid(n.raw) && utf8.Valid(n.raw) { // each says nothing of the other
			n.verdict = isJSON
		}
	}
	return n.verdict == isJSON
}

// member is one field of an object.
type member struct {
	name string
	node *node
}

// newTree makes a node of keys by path.
func newTree(raw map[string][]byte) *node {
	root := &node{bare: true, sub: make(map[string]*node, len(raw))}
	for path, value := range raw {
		at := root
		for segment := range strings.SplitSeq(path, "/") {
			next := at.sub[segment]
			if next == nil {
				next = &node{bare: true}
				if at.sub == nil {
					at.sub = map[string]*node{}
				}
				at.sub[segment] = next
			}
			at = next
		}
		at.raw = value
		if at.raw == nil {
			at.raw = []byte{}
		}
	}
	return root
}

// check finds what is wrong with a document as such. null would be taken for "nothing to tell", and so for the default.
func (n *node) check(kind reflect.Kind) error {
	text := bytes.TrimSpace(n.raw)
	if len(text) == 0 {
		return errors.New("it is empty")
	}
	if string(text) == "null" && kind != reflect.Pointer && kind != reflect.Interface {
		return errors.New("null is no value: whoever wants the default deletes the key")
	}
	var syntax *json.SyntaxError
	err := json.Unmarshal(n.raw, new(json.RawMessage))
	if errors.As(err, &syntax) {
		before := n.raw[:min(int(syntax.Offset), len(n.raw))]
		line := bytes.Count(before, []byte("\n")) + 1
		return fmt.Errorf("bad JSON at line %d, column %d: %w", line, len(before)-bytes.LastIndexByte(before, '\n')-1, err)
	}
	if err == nil && !utf8.Valid(n.raw) {
		return errNotUTF8
	}
	return err
}

// isText tells that what stands here is no JSON but text without quotes.
func (n *node) isText() bool { return n.bare && len(n.sub) == 0 && !n.isJSON() }

// isQuoted tells that what stands here is a JSON string.
func (n *node) isQuoted() bool {
	return bytes.HasPrefix(bytes.TrimSpace(n.raw), []byte(`"`)) && n.isJSON()
}

// isNull tells that what stands here is null.
func (n *node) isNull() bool { return len(n.sub) == 0 && string(bytes.TrimSpace(n.raw)) == "null" }

// document returns all that stands here and below as JSON, if that can tell it.
func (n *node) document() ([]byte, error) {
	if len(n.sub) == 0 && (n.raw != nil || !n.bare) {
		if n.isText() {
			return quoted(n.raw)
		}
		return n.raw, nil
	}
	members, err := n.members()
	if err != nil {
		return nil, err
	}
	var doc bytes.Buffer
	doc.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			doc.WriteByte(',')
		}
		doc.Write(quote(m.name))
		doc.WriteByte(':')
		value, err := m.node.document()
		if err != nil {
			return nil, at(m.name, err)
		}
		doc.Write(value)
	}
	doc.WriteByte('}')
	return doc.Bytes(), nil
}

// quoted returns text as a JSON string.
func quoted(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, errNotUTF8
	}
	return quote(string(text)), nil
}

func quote(s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("config: every string is JSON: " + err.Error())
	}
	return quoted
}

// members returns the fields of an object. In a tree, keys below add to the object that stands in the key itself, and win over it.
func (n *node) members() ([]member, error) {
	if n.raw == nil {
		return sorted(n.sub), nil
	}
	if !bytes.HasPrefix(bytes.TrimSpace(n.raw), []byte("{")) {
		err := fmt.Errorf("it is %s, not an object", describe(n.raw))
		if len(n.sub) > 0 {
			err = fmt.Errorf("%w, and there are keys below it", err)
		}
		return nil, err
	}
	if !n.isJSON() {
		return nil, cmp.Or(json.Unmarshal(n.raw, new(json.RawMessage)), errNotUTF8)
	}
	var room [few]string
	seen := names{list: room[:0]}
	members := make([]member, 0, few/2)
	err := eachMember(n.raw, func(name string, raw []byte) error {
		if seen.add(name) {
			return fmt.Errorf("%q is there twice", name)
		}
		child := &node{raw: raw, bare: n.bare, verdict: isJSON}
		if below := n.sub[name]; below != nil {
			child.sub = below.sub
			if below.raw != nil {
				child.raw, child.verdict = below.raw, unasked
			}
		}
		members = append(members, member{name, child})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, m := range sorted(n.sub) {
		if !seen.has(m.name) {
			members = append(members, m)
		}
	}
	return members, nil
}

func sorted(sub map[string]*node) []member {
	members := make([]member, 0, len(sub))
	for name, n := range sub {
		members = append(members, member{name, n})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return members
}

// elements returns what is in a list.
func (n *node) elements() ([]*node, error) {
	var raws []json.RawMessage
	if len(n.sub) > 0 {
		return nil, errors.New("a list stands in one key, and nothing below it")
	}
	if err := json.Unmarshal(n.raw, &raws); err != nil {
		return nil, fmt.Errorf("it is %s, not a list", describe(n.raw))
	}
	if !n.isJSON() {
		return nil, errNotUTF8
	}
	elements := make([]*node, len(raws))
	for i, raw := range raws {
		elements[i] = &node{raw: raw, bare: n.bare, verdict: isJSON}
	}
	return elements, nil
}

// describe names the kind of a JSON value.
func describe(raw []byte) string {
	text := bytes.TrimSpace(raw)
	switch {
	case len(text) == 0:
		return "empty"
	case !json.Valid(text):
		return "text"
	}
	switch text[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
