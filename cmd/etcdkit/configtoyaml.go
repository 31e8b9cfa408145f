package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
)

// jsonToYAML returns valid JSON as YAML.
func jsonToYAML(value []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	n, err := yamlNode(dec)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err = enc.Encode(n)
	return out.Bytes(), err
}

// yamlNode makes a node of the next value.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch token := token.(type) {
	case json.Delim:
		n.Kind = yaml.SequenceNode
		if token == '{' {
			n.Kind = yaml.MappingNode
		}
		for dec.More() {
			below, err := yamlNode(dec) // the name of a field is a node too
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, below)
		}
		_, err = dec.Token() // its end
	case string:
		n.SetString(token)
	case json.Number:
		n.Value, n.Tag = token.String(), "!!int"
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	default: // a boolean or null
		err = n.Encode(token)
	}
	return n, err
}
