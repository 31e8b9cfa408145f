package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

const (
	outputSimple = "simple"
	outputJSON   = "json"
)

func (p *program) addOutputFlag(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&p.output, "output", "o", outputSimple, "how to print results: `simple or json`")
	bindVariables(flags, "output", ourVariables)
	formats := cobra.FixedCompletions([]string{outputSimple, outputJSON}, cobra.ShellCompDirectiveNoFileComp)
	if err := root.RegisterFlagCompletionFunc("output", formats); err != nil {
		panic(err) // the flag stands two lines above
	}
}

func (p *program) checkOutput() error {
	if p.output != outputSimple && p.output != outputJSON {
		return fmt.Errorf("--output %q: must be %s or %s", p.output, outputSimple, outputJSON)
	}
	return nil
}

// print writes a result: as one line of JSON, or as simple writes it.
func (p *program) print(cmd *cobra.Command, result any, simple func() error) error {
	if p.output == outputJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		return enc.Encode(result)
	}
	return simple()
}

// text splits bytes into the two fields that JSON output has for them: the bytes as a string where they are UTF-8, else base64.
func text(b []byte) (plain, coded *string) {
	if utf8.Valid(b) {
		s := string(b)
		return &s, nil
	}
	s := base64.StdEncoding.EncodeToString(b)
	return nil, &s
}
