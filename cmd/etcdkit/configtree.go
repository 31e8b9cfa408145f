package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// document makes one JSON object of a tree: its fields are the paths. Text without quotes, which is allowed in a key, gets them. What is no text
// must have been taken out: see noText.
func document(values map[string][]byte) []byte {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, path := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(quoteJSON(path))
		out.WriteByte(':')
		if value := values[path]; json.Valid(value) {
			out.Write(value)
		} else {
			out.Write(quoteJSON(string(value)))
		}
	}
	out.WriteByte('}')
	return out.Bytes()
}

// noText returns what a document cannot hold: the values that are not UTF-8.
func noText(values map[string][]byte) map[string][]byte {
	none := maps.Clone(values)
	maps.DeleteFunc(none, func(_ string, value []byte) bool { return utf8.Valid(value) })
	return none
}

// checkText names the first key that a document of a tree cannot hold.
func checkText(values map[string][]byte) error {
	for _, path := range sortedPaths(noText(values)) {
		return fmt.Errorf("the key %s is not UTF-8, and cannot be shown as text", path)
	}
	return nil
}

// nulls names the keys that hold null. A document cannot tell them from those that are to be deleted: see paths.
func nulls(values map[string][]byte) []string {
	var found []string
	for _, path := range sortedPaths(values) {
		if value := values[path]; string(bytes.TrimSpace(value)) == "null" && json.Valid(value) {
			found = append(found, path)
		}
	}
	return found
}

func quoteJSON(s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // every string is JSON
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// paths is the inverse of document. A path with null is to be deleted.
func paths(object []byte) (map[string][]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil || fields == nil {
		return nil, errors.New(`it is no object whose fields are the keys of the tree, such as {"http/timeout": "5s"}`)
	}
	values := map[string][]byte{}
	for path, value := range fields {
		if values[path] = value; string(value) == "null" {
			values[path] = nil
		}
	}
	return values, nil
}

func sortedPaths(values map[string][]byte) []string { return slices.Sorted(maps.Keys(values)) }
