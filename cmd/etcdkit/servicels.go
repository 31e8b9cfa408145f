package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"etcdkit/discovery"
	"etcdkit/session"
)

func newServiceList(l *services) *cobra.Command {
	return &cobra.Command{
		Use:   "ls [NAME]",
		Short: "List the services, or the instances of one",
		Long: `List the services under the prefix of which anything is registered, with how many instances take requests, how many are
draining (about to leave, and get no new requests), and how many say that they are unhealthy. SKIPPED counts keys that
are no instance: somebody else's, or broken.

With NAME, list the instances of that service. An instance without a weight has 1.

Services that only etcd's own naming/endpoints records know are not among them.`,
		Example: `  etcdkit services ls
  etcdkit services ls api
  etcdkit services ls api -o json | jq -r '.[] | select(.state == "serving") | .addr'`,
		Args:              atLeast(0, serviceName),
		ValidArgsFunction: l.completeName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.look(cmd, func(ctx context.Context, s *session.Session) error {
				if len(args) == 0 {
					return l.list(ctx, cmd, s)
				}
				snapshot, err := discovery.List(ctx, s, args[0])
				if err != nil {
					return err
				}
				return l.printInstances(cmd, snapshot)
			})
		},
	}
}

func (l *services) list(ctx context.Context, cmd *cobra.Command, s *session.Session) error {
	list, err := discovery.Services(ctx, s)
	if err != nil {
		return err
	}
	type info struct {
		Name      string `json:"name"`
		Instances int    `json:"instances"`
		Draining  int    `json:"draining"`
		Unhealthy int    `json:"unhealthy"`
		Skipped   int    `json:"skipped"`
	}
	result := []info{}
	rows := [][]string{{"NAME", "INSTANCES", "DRAINING", "UNHEALTHY", "SKIPPED"}}
	for _, i := range list {
		result = append(result, info(i))
		rows = append(rows, []string{i.Name, strconv.Itoa(i.Instances), strconv.Itoa(i.Draining), strconv.Itoa(i.Unhealthy), strconv.Itoa(i.Skipped)})
	}
	return l.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}

func (l *services) printInstances(cmd *cobra.Command, snapshot *discovery.Snapshot) error {
	all := instancesOf(snapshot)
	rows := [][]string{{"ID", "ADDR", "STATE", "ZONE", "WEIGHT", "VERSION", "PROTOCOL", "PORTS", "LABELS"}}
	for _, i := range all {
		rows = append(rows, []string{
			i.ID, i.Addr, i.State, cmp.Or(i.Zone, "-"), strconv.Itoa(cmp.Or(i.Weight, 1)), cmp.Or(i.Version, "-"), cmp.Or(i.Protocol, "-"),
			cmp.Or(ports(i.Ports), "-"), cmp.Or(labels(i.Labels), "-"),
		})
	}
	if snapshot.Skipped > 0 {
		notef(cmd, "%d keys are no instance, and were skipped", snapshot.Skipped)
	}
	return l.print(cmd, all, func() error { return table(cmd.OutOrStdout(), rows) })
}

func ports(m map[string]int) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, fmt.Sprintf("%s=%d", name, m[name]))
	}
	return strings.Join(pairs, ",")
}
