package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

func newConfigDiff(c *configs) *cobra.Command {
	var where spot
	cmd := &cobra.Command{
		Use:   "diff NAME [A [B]]",
		Short: "Show the difference between two versions of a value",
		Long: `Show how version A of the value NAME becomes version B, line by line: "-" is before what goes, "+" before what comes, and
"..." stands for what is left out. Without B, version A is compared with what stands in etcd now, and without A the newest
version with the one before it. "etcdkit config history" tells which there are.

Of a tree it tells of the keys that versions of the tree wrote. Nothing is printed where there is no difference.`,
		Example: `  etcdkit config diff app/api
  etcdkit config diff app/api 3
  etcdkit config diff app/api 3 5`,
		Args:              cobra.MatchAll(atLeast(1, configName, "version A", "version B"), onlyWithWhatStands),
		ValidArgsFunction: c.completeVersions(&where, 2),
	}
	where.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var versions []int64
		for _, arg := range args[1:] {
			version, err := parseVersion(arg)
			if err != nil {
				return err
			}
			versions = append(versions, version)
		}
		return c.look(cmd, func(ctx context.Context, s *session.Session) error {
			return c.diff(ctx, cmd, where.store(cmd, s, args[0]), args[0], versions)
		})
	}
	return cmd
}

// onlyWithWhatStands refuses --at-key where nothing is read but the history.
func onlyWithWhatStands(cmd *cobra.Command, args []string) error {
	if cmd.Flags().Changed(atKeyFlag) && len(args) != 2 {
		return fmt.Errorf("--%s is for NAME A, which compares with what stands there: two versions are under NAME wherever that is", atKeyFlag)
	}
	return nil
}

// parseVersion reads the number of a version.
func parseVersion(arg string) (int64, error) {
	version, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || version < 1 {
		return 0, &statusError{statusUsage, fmt.Errorf("version %q: must be a number from 1 on", arg)}
	}
	return version, nil
}

func (c *configs) diff(ctx context.Context, cmd *cobra.Command, st *config.Store, name string, versions []int64) error {
	result := struct {
		From int64  `json:"from,omitempty"` // 0: nothing
		To   int64  `json:"to,omitempty"`   // 0: what stands there
		Diff string `json:"diff"`
	}{}
	var err error
	switch len(versions) {
	case 2:
		result.From, result.To = versions[0], versions[1]
	case 1:
		result.From = versions[0]
	default:
		var all []config.Version
		if all, err = st.History(ctx); err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("config %q: the history is empty", name)
		}
		result.To = all[0].Number
		if len(all) == 1 {
			if result.Diff, err = firstDiff(all[0]); err != nil {
				return fmt.Errorf("config %q: %w", name, err)
			}
			break
		}
		result.From = all[1].Number
	}
	if result.From != 0 {
		if result.Diff, err = st.Diff(ctx, result.From, result.To); err != nil {
			return err
		}
	}
	text := result.Diff
	result.Diff = spellOut(text)
	return c.print(cmd, result, func() error { return printLines(cmd.OutOrStdout(), text) })
}

// firstDiff tells what the only version did.
func firstDiff(v config.Version) (string, error) {
	from, to := map[string][]byte{}, map[string][]byte{}
	for _, e := range v.Edits {
		if e.Unknown {
			return "", fmt.Errorf("what stood there before version %d is not known", v.Number)
		}
		from[e.Path], to[e.Path] = e.Before, e.After
	}
	return differences(from, to), nil
}

// differences tells how the values under the paths of a write become others.
func differences(from, to map[string][]byte) string {
	var text strings.Builder
	for _, path := range sortedPaths(to) {
		diff := config.Diff(from[path], to[path])
		if diff != "" && path != "" {
			fmt.Fprintf(&text, "%s:\n", path)
		}
		text.WriteString(diff)
	}
	return text.String()
}
