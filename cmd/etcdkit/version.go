package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what the build says of itself.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)" // what the build calls a tree that is not a release
}

func versionLine() string {
	return fmt.Sprintf("etcdkit %s %s %s/%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// addVersion makes "etcdkit --version" say what "etcdkit version" does.
func addVersion(root *cobra.Command) {
	root.Version = version()
	root.SetVersionTemplate(versionLine() + "\n")
	root.Flags().Bool("version", false, "print the version") // cobra's own would take -v
}

func newVersion(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version of etcdkit, of the Go that it was built with, and the platform that it was built for.",
		Example: `  etcdkit version
  etcdkit --version`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			result := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
			}{version(), runtime.Version()}
			return p.print(cmd, result, func() error {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
				return err
			})
		},
	}
}
