package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Values stand in etcd as JSON. YAML is what a person may write them in, and see them as. The library is one that cobra and gRPC's gateway
// require anyway, kept by the YAML project itself. Here it parses and prints alone: what becomes of each node is decided below, so that fields
// keep their order, numbers their digits, "no" is a word, and an error has a line.

const (
	// maxYAML bounds what aliases can make of a text: no value may be larger.
	maxYAML = 1 << 20
	// maxDepth bounds aliases that contain themselves.
	maxDepth = 1000
)

// yamlToJSON returns the same value as JSON, and whether there were comments, which JSON has no place for.
func yamlToJSON(text []byte) (value []byte, comments bool, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, false, errors.New("it is empty")
	case err != nil:
		return nil, false, badYAML(err)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, false, fmt.Errorf("bad YAML at line %d: a second document", more.Line)
	case !errors.Is(err, io.EOF):
		return nil, false, badYAML(err)
	}
	var w yamlReader
	if err := w.read(&doc, 0); err != nil {
		return nil, false, err
	}
	return w.out.Bytes(), w.comments, nil
}

func badYAML(err error) error {
	return fmt.Errorf("bad YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// yamlReader writes JSON as it walks over the nodes of a text in YAML.
type yamlReader struct {
	out      bytes.Buffer
	comments bool
}

// badNode tells where the error is.
func badNode(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("bad YAML at line %d, column %d: %s", n.Line, n.Column, fmt.Sprintf(format, args...))
}

func (r *yamlReader) read(n *yaml.Node, depth int) error {
	r.comments = r.comments || n.HeadComment != "" || n.LineComment != "" || n.FootComment != ""
	if depth > maxDepth || r.out.Len() > maxYAML {
		return badNode(n, "more than %d levels or 1 MiB, with what its aliases stand for", maxDepth)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return r.read(n.Content[0], depth)
	case yaml.AliasNode:
		return r.read(n.Alias, depth+1)
	case yaml.MappingNode:
		return r.object(n, depth)
	case yaml.SequenceNode:
		r.out.WriteByte('[')
		for i, element := range n.Content {
			if i > 0 {
				r.out.WriteByte(',')
			}
			if err := r.read(element, depth+1); err != nil {
				return err
			}
		}
		r.out.WriteByte(']')
		return nil
	}
	return r.scalar(n)
}

func (r *yamlReader) object(n *yaml.Node, depth int) error {
	r.out.WriteByte('{')
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		r.comments = r.comments || name.HeadComment != "" || name.LineComment != "" || name.FootComment != ""
		switch {
		case name.ShortTag() == "!!merge":
			return badNode(name, "<< is not understood: write the fields where they belong")
		case name.Kind != yaml.ScalarNode:
			return badNode(name, "the name of a field must be a word")
		case seen[name.Value]:
			return badNode(name, "%q is there twice", name.Value)
		}
		seen[name.Value] = true
		if i > 0 {
			r.out.WriteByte(',')
		}
		r.json(name.Value)
		r.out.WriteByte(':')
		if err := r.read(value, depth+1); err != nil {
			return err
		}
	}
	r.out.WriteByte('}')
	return nil
}

func (r *yamlReader) scalar(n *yaml.Node) error {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		r.out.WriteString("null")
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return badNode(n, "%q is neither true nor false", n.Value)
		}
		r.json(b)
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) { // most are spelled alike, and keep their digits
			r.out.WriteString(n.Value)
			return nil
		}
		return r.number(n)
	case "!!str", "!!timestamp":
		r.json(n.Value)
	default:
		return badNode(n, "JSON has nothing like %s", tag)
	}
	return nil
}

// number writes a number that JSON spells otherwise.
func (r *yamlReader) number(n *yaml.Node) error {
	var v any
	if err := n.Decode(&v); err != nil {
		return badNode(n, "%q is no number", n.Value)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return badNode(n, "JSON has no number %s", n.Value)
	}
	r.out.Write(text)
	return nil
}

// json writes a string or a boolean.
func (r *yamlReader) json(v any) {
	enc := json.NewEncoder(&r.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // there is none for these types
	}
	r.out.Truncate(r.out.Len() - 1) // the line break
}
