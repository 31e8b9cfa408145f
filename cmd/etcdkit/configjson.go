package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// noFieldTwice refuses valid JSON in which a field is there twice, as each program that reads it into a struct does.
func noFieldTwice(value []byte) error {
	dec := json.NewDecoder(bytes.NewReader(value))
	var fields []map[string]bool // of the objects and lists around, a list having none
	isName := false              // the next token, in an object
	for {
		token, err := dec.Token()
		if err != nil {
			return nil // the end
		}
		top := len(fields) - 1
		switch {
		case token == json.Delim('{'):
			fields, isName = append(fields, map[string]bool{}), true
			continue
		case token == json.Delim('['):
			fields, isName = append(fields, nil), false
			continue
		case token == json.Delim('}') || token == json.Delim(']'):
			fields, top = fields[:top], top-1
		case isName:
			name, _ := token.(string)
			if fields[top][name] {
				line, column := position(value, dec.InputOffset())
				return fmt.Errorf("bad JSON at line %d, column %d: %q is there twice", line, column, name)
			}
			fields[top][name], isName = true, false
			continue
		}
		isName = top >= 0 && fields[top] != nil
	}
}

// position is the line and the column, from 1 on, of the last byte before an offset.
func position(text []byte, offset int64) (line, column int) {
	before := text[:offset]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n') - 1
}

// sameJSON tells whether two values differ in how they are spelled at most. The order of fields counts: whoever changes it means it.
func sameJSON(a, b []byte) bool {
	if !json.Valid(a) || !json.Valid(b) {
		return bytes.Equal(a, b)
	}
	x, y := json.NewDecoder(bytes.NewReader(a)), json.NewDecoder(bytes.NewReader(b))
	x.UseNumber()
	y.UseNumber()
	for {
		s, err := x.Token()
		if t, _ := y.Token(); s != t { // nil at the end
			return false
		}
		if err != nil {
			return true
		}
	}
}
