package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
)

// document makes one JSON object of a tree: its fields are the paths. Text without quotes, which is allowed in a key, gets them.
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
