package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"etcdkit/config"
)

const (
	formatJSON = "json"
	formatYAML = "yaml"
	formatFlag = "format"
)

// format is a flag with what a value is written in. In etcd it is JSON all the same.
type format string

func (f *format) addFlag(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar((*string)(f), formatFlag, "", usage)
	words := cobra.FixedCompletions([]string{formatJSON, formatYAML}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(formatFlag, words); err != nil {
		panic(err) // the flag stands two lines above
	}
}

// check is a check of arguments: see exclusive.
func (f *format) check(*cobra.Command, []string) error {
	switch *f {
	case "", formatJSON, formatYAML:
		return nil
	}
	return fmt.Errorf("--format %q: must be %s or %s", *f, formatJSON, formatYAML)
}

// of is the format of a file: that of the flag, else what its suffix says.
func (f *format) of(file string) format {
	if *f != "" {
		return *f
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".yaml", ".yml":
		return formatYAML
	}
	return formatJSON
}

var errEmpty = errors.New("it is empty")

// parse returns a text as the JSON that it stands for, and whether it had comments. What no program can use is refused.
func (f format) parse(text []byte) (value []byte, comments bool, err error) {
	if value = bytes.TrimSpace(text); len(value) == 0 {
		return nil, false, errEmpty
	}
	if at := notUTF8(text); at >= 0 {
		line, column := position(text, int64(at)+1)
		return nil, false, fmt.Errorf("bad text at line %d, column %d: it is not UTF-8", line, column)
	}
	if f == formatYAML {
		if value, comments, err = yamlToJSON(text); err != nil {
			return nil, false, err
		}
	}
	if json.Valid(value) {
		if err := noFieldTwice(value); err != nil { // it tells where
			return nil, false, err
		}
	}
	if err := config.Check[any](nil)(value); err != nil {
		return nil, false, err
	}
	return value, comments, nil
}

// spell returns a value as a text for a person, which ends with a line break.
func (f format) spell(value []byte) ([]byte, error) {
	name := strings.ToUpper(string(f))
	switch {
	case notUTF8(value) >= 0:
		return nil, fmt.Errorf("it is not UTF-8, and cannot be shown as %s", name)
	case !json.Valid(value):
		return nil, fmt.Errorf("it is not JSON, and cannot be shown as %s", name)
	case f == formatYAML:
		return jsonToYAML(value)
	}
	return append(pretty(value), '\n'), nil
}

// notUTF8 is where the first byte stands that is no text, or -1.
func notUTF8(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// spellOut spells out the bytes that are no text, for JSON, which would lose them.
func spellOut(s string) string {
	var out strings.Builder
	for rest := s; rest != ""; {
		at := notUTF8([]byte(rest))
		if at < 0 {
			out.WriteString(rest)
			break
		}
		fmt.Fprintf(&out, `%s\x%02x`, rest[:at], rest[at])
		rest = rest[at+1:]
	}
	return out.String()
}

// pretty lays JSON out, a field in each line. What is not JSON stays as it is.
func pretty(value []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(value), "", "  ") != nil {
		return slices.Clone(value)
	}
	return out.Bytes()
}

// oneLine returns a value as one line, if it is JSON.
func oneLine(value []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return string(value)
	}
	return out.String()
}

// printLines writes text that others chose: each of its lines in one, with nothing that is not printable.
func printLines(w io.Writer, text string) error {
	if text == "" {
		return nil
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if _, err := fmt.Fprintln(w, escape(line)); err != nil {
			return err
		}
	}
	return nil
}

// jsonValue is a value in JSON output: as it is where it is JSON, else as text or coded.
type jsonValue struct {
	Value       json.RawMessage `json:"value,omitempty"`
	ValueText   *string         `json:"value_text,omitempty"`
	ValueBase64 *string         `json:"value_base64,omitempty"`
}

func describeJSON(b []byte) (v jsonValue) {
	switch {
	case b == nil:
	case json.Valid(b) && utf8.Valid(b): // strings of JSON can have what is no text, and decoders let it pass
		v.Value = b
	default:
		v.ValueText, v.ValueBase64 = text(b)
	}
	return v
}
