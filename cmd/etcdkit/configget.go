package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"etcdkit/session"
)

func newConfigGet(c *configs) *cobra.Command {
	var where spot
	var as format
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Print a value",
		Long: `Print the value NAME as it stands in etcd, or as YAML. If there is none, one line on standard error says so, nothing is
printed, and the status is 0, as with "etcdkit kv get".

With --tree, print a line for each key of the tree, or with --format one object whose fields are the keys: what
"etcdkit config put --tree" takes. Since that deletes a key with null, one that holds null is left out of the object, and
named on standard error.

With -o json, "revision" is what --revision of "etcdkit config put" takes: in which the value was written, of a tree in which
it was read. Where there is no value there is no "value". A value that is not JSON stands in "value_text", and one that is
not even UTF-8 coded in "value_base64"; of a tree, such keys stand in "keys_base64" and not in "value", and those that hold
null in "keys_null". Only without -o and --format, and not on a terminal, is a value that is not JSON printed as it is.`,
		Example: `  etcdkit config get app/api
  etcdkit config get app/api --format yaml >api.yaml
  etcdkit config get --tree app/api --format json
  etcdkit config get app/api -o json | jq .value.timeout`,
		ValidArgsFunction: c.completeName(&where),
	}
	where.addFlags(cmd)
	as.addFlag(cmd, "print the value as `json or yaml`; as it stands there unless told otherwise")
	cmd.Args = cobra.MatchAll(exactly(configName), as.check)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if as != "" && c.output == outputJSON {
			return &statusError{statusUsage, errors.New("--format is for values, and with -o json the result is JSON: give one of them")}
		}
		var is content
		err := c.look(cmd, func(ctx context.Context, s *session.Session) (err error) {
			is, err = where.read(ctx, where.store(cmd, s, args[0]))
			return err
		})
		if err != nil {
			return err
		}
		if !is.there() {
			notef(cmd, "config %q: there is no value", args[0])
		}
		return c.printContent(cmd, &where, as, args[0], is)
	}
	return cmd
}

func (c *configs) printContent(cmd *cobra.Command, where *spot, as format, name string, is content) error {
	result := struct {
		Name     string `json:"name"`
		Revision int64  `json:"revision"`
		jsonValue
		KeysBase64 map[string][]byte `json:"keys_base64,omitempty"`
		KeysNull   []string          `json:"keys_null,omitempty"`
	}{Name: name, Revision: is.rev}
	switch {
	case !is.there():
	case where.tree:
		result.KeysBase64, result.KeysNull = noText(is.values), nulls(is.values)
		texts := without(is.values, slices.Concat(result.KeysNull, sortedPaths(result.KeysBase64)))
		result.jsonValue = describeJSON(document(texts))
	default:
		result.jsonValue = describeJSON(is.values[""])
	}
	return c.print(cmd, result, func() error {
		switch {
		case !is.there():
			return nil
		case where.tree && as == "":
			rows := [][]string{{"KEY", "VALUE"}}
			for _, path := range slices.Sorted(maps.Keys(is.values)) {
				rows = append(rows, []string{path, oneLine(is.values[path])})
			}
			return table(cmd.OutOrStdout(), rows)
		case where.tree:
			if err := checkText(is.values); err != nil {
				return fmt.Errorf("config %q: %w", name, err)
			}
			left := nulls(is.values)
			if len(left) > 0 {
				notef(cmd, "config %q: left out, since null would delete them: %s", name, strings.Join(left, ", "))
			}
			return printValue(cmd, as, name, document(without(is.values, left)))
		}
		return printValue(cmd, as, name, is.values[""])
	})
}

// without returns the values without those of some paths.
func without(values map[string][]byte, paths []string) map[string][]byte {
	rest := maps.Clone(values)
	for _, path := range paths {
		delete(rest, path)
	}
	return rest
}

// whole is the value, or the object of a tree's keys.
func (w *spot) whole(values map[string][]byte) []byte {
	if w.tree {
		return document(values)
	}
	return values[""]
}

// printValue prints a value. Who reads it from a pipe gets its bytes; a terminal gets nothing that it would obey.
func printValue(cmd *cobra.Command, as format, name string, value []byte) error {
	text := append(slices.Clip(value), '\n')
	if as != "" {
		var err error
		if text, err = as.spell(value); err != nil {
			return fmt.Errorf("config %q: %w", name, err)
		}
	}
	if isTerminal(cmd.OutOrStdout()) {
		return printLines(cmd.OutOrStdout(), string(text))
	}
	_, err := cmd.OutOrStdout().Write(text)
	return err
}
