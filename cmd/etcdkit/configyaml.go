package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
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
		return nil, false, badYAML(text, err)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, false, fmt.Errorf("bad YAML at line %d: a second document", more.Line)
	case !errors.Is(err, io.EOF):
		return nil, false, badYAML(text, err)
	}
	var w yamlReader
	if err := w.read(&doc, 0); err != nil {
		return nil, false, err
	}
	return w.out.Bytes(), w.comments, nil
}

// tabInYAML is what the parser says of a tab, and of some other characters.
var tabInYAML = regexp.MustCompile(`^line (\d+): (found a tab character|found character that cannot start|mapping values are not allowed)`)

// badYAML is the error of the parser, which has a line in most cases. Of a tab it does not say much.
func badYAML(text []byte, err error) error {
	said := strings.TrimPrefix(err.Error(), "yaml: ")
	if at := tabInYAML.FindStringSubmatch(said); at != nil {
		number, _ := strconv.Atoi(at[1]) // digits
		for i, line := range bytes.Split(text, []byte("\n")) {
			if (i+1 == number || i == number) && hasTabInFront(line) { // in a list it names the line before
				return fmt.Errorf("bad YAML at line %d: it is indented with a tab, where YAML wants blanks", i+1)
			}
		}
	}
	return fmt.Errorf("bad YAML: %s", said)
}

func hasTabInFront(line []byte) bool {
	return bytes.Contains(line[:len(line)-len(bytes.TrimLeft(line, " \t"))], []byte("\t"))
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
		if tag := n.ShortTag(); tag != "!!map" {
			return badNode(n, "JSON has no object like %s", tag)
		}
		return r.object(n, depth)
	case yaml.SequenceNode:
		if tag := n.ShortTag(); tag != "!!seq" {
			return badNode(n, "JSON has no list like %s", tag)
		}
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
			return badNode(name, "the name of a field must be text")
		case name.ShortTag() != "!!str" && name.ShortTag() != "!!timestamp":
			return badNode(name, "the name of a field must be text, and %s is %s: write %q", name.Value, name.ShortTag(), name.Value)
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
		if !slices.Contains([]string{"", "~", "null", "Null", "NULL"}, n.Value) {
			return badNode(n, "%q is not null", n.Value)
		}
		r.out.WriteString("null")
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return badNode(n, "%q is neither true nor false", n.Value)
		}
		r.json(b)
	case "!!int", "!!float":
		number, err := exactNumber(n)
		if err != nil {
			return err
		}
		r.out.WriteString(number)
	case "!!str", "!!timestamp":
		r.json(n.Value)
	default:
		return badNode(n, "JSON has nothing like %s", tag)
	}
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
