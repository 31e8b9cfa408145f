package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"etcdkit/session"
)

// configPut is one write.
type configPut struct {
	*configs
	cmd    *cobra.Command
	where  spot
	as     format
	remark remark
	value  string
	rev    int64
	create bool

	input []byte // what was read from standard input
}

const (
	valueFlag    = "value"
	revisionFlag = "revision"
	createFlag   = "create"
	stdinArg     = "-"
)

func newConfigPut(c *configs) *cobra.Command {
	r := &configPut{configs: c}
	cmd := &cobra.Command{
		Use:   "put NAME {FILE | - | --value VALUE}",
		Short: "Write a value",
		Long: `Write the value NAME: what a file has, or standard input (-), or --value. It is JSON, or YAML with --format yaml or in a
file that ends with .yaml or .yml. What is not, or has a field twice, is refused before anything is written. In etcd it
is JSON: comments in YAML are not kept.

The value is created, or replaces what stands there when the command reads it. With --revision it is written only if what
stands there is still of that revision, as "etcdkit config get -o json" tells it (0: if there is nothing), and with
--create only if there is nothing. If somebody else wrote in between, nothing changes, the value that stands there is shown
on standard error, and the status is 4. What came on standard input is kept then, and where it is not known whether it was
written, in a file that is named and that only you can read.

With --tree the value is an object whose fields are the keys of the tree, such as {"http/timeout": "5s"}: they are
written together, one with null is deleted, and what is not named stays.`,
		Example: `  etcdkit config put app/api settings.json --comment "slower, for the migration"
  etcdkit config put app/api --value '{"timeout": "5s"}' --revision 42
  etcdkit config get app/api --format yaml | sed s/5s/7s/ | etcdkit config put app/api - --format yaml
  etcdkit config put --tree app/api --value '{"http/timeout": "5s", "http/retries": null}'`,
		Args:              cobra.MatchAll(checkSource, exclusive(revisionFlag, createFlag), r.as.check),
		ValidArgsFunction: thenFiles(c.completeName(&r.where)),
	}
	r.where.addFlags(cmd)
	r.as.addFlag(cmd, "the value is written in `json or yaml`; as the suffix of FILE says unless told otherwise, else JSON")
	r.remark.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&r.value, valueFlag, "", "the value itself")
	flags.Int64Var(&r.rev, revisionFlag, 0, "write only if what stands there is of this revision")
	flags.BoolVar(&r.create, createFlag, false, "write only if there is no value yet")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.cmd = cmd
		return r.run(args)
	}
	return cmd
}

// checkSource accepts NAME FILE, or NAME with --value.
func checkSource(cmd *cobra.Command, args []string) error {
	given := cmd.Flags().Changed(valueFlag)
	switch {
	case len(args) == 1 && !given:
		return errors.New("the value is missing: FILE, - for standard input, or --value")
	case len(args) == 2 && given:
		return errors.New("FILE and --value exclude each other")
	case given:
		return exactly(configName)(cmd, args)
	}
	return exactly(configName, "the value")(cmd, args)
}

func (r *configPut) run(args []string) error {
	if r.cmd.Flags().Changed(revisionFlag) && r.rev < 0 {
		return &statusError{statusUsage, fmt.Errorf("--revision %d: must not be negative", r.rev)}
	}
	values, err := r.values(args)
	if err != nil {
		return fmt.Errorf("put %q: %w", args[0], err)
	}
	to := content{values: values, rev: r.rev}
	var old content
	err = r.look(r.cmd, func(ctx context.Context, s *session.Session) (err error) {
		st := r.where.store(r.cmd, s, args[0])
		if old, err = r.where.read(ctx, st); err != nil {
			return err
		}
		if !r.create && !r.cmd.Flags().Changed(revisionFlag) {
			to.rev = old.rev
		}
		to.rev, err = r.where.write(ctx, st, to, r.remark.options(r.cmd))
		return r.where.became(ctx, st, "written", err)
	})
	if isFinal(err) && len(args) == 2 && args[1] == stdinArg {
		r.keepInput()
	}
	if err != nil {
		return tellTheirs(r.cmd, err)
	}
	did := "written"
	if !old.there() {
		did = "created"
	}
	return r.printWritten(r.cmd, did, to.rev)
}

// values reads what is to be written.
func (r *configPut) values(args []string) (map[string][]byte, error) {
	var text []byte
	var err error
	from, as := "--value", r.as.of("")
	switch {
	case len(args) == 1:
		text = []byte(r.value)
	case args[1] == stdinArg:
		from = "standard input"
		text, err = io.ReadAll(r.cmd.InOrStdin())
		r.input = text
	default:
		from, as = args[1], r.as.of(args[1])
		text, err = os.ReadFile(args[1])
	}
	if err != nil {
		return nil, err // it has the name of the file
	}
	value, comments, err := as.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if comments {
		notef(r.cmd, "%s: the value is kept as JSON, and its comments are not", from)
	}
	values, err := r.where.split(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return values, nil
}

// keepInput keeps what nobody else may have.
func (r *configPut) keepInput() {
	d, err := newDraft(r.as.of(""), r.input)
	if err != nil {
		notef(r.cmd, "your text cannot be kept: %v", err)
		return
	}
	notef(r.cmd, "your text is kept in %s", d.path)
}

// split is the inverse of whole.
func (w *spot) split(value []byte) (map[string][]byte, error) {
	if w.tree {
		return paths(value)
	}
	return map[string][]byte{"": value}, nil
}

// printWritten prints what a write did.
func (c *configs) printWritten(cmd *cobra.Command, did string, rev int64) error {
	result := struct {
		Revision int64 `json:"revision"`
	}{rev}
	return c.print(cmd, result, func() error {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s, revision %d\n", did, rev)
		return err
	})
}
