package main

import (
	"context"

	"github.com/spf13/cobra"

	"etcdkit/discovery"
	"etcdkit/session"
)

// services is what the commands about services share.
type services struct {
	scope
}

func newServices(p *program) *cobra.Command {
	l := &services{scope{program: p}}
	cmd := newServiceList(l)
	cmd.Use = "services"
	cmd.Short = "Show services and their instances, follow them, drain an instance"
	cmd.Long = `List the services of which anything is registered. This is "etcdkit services ls", for short: see "etcdkit help services ls"
for all of it.`
	cmd.Example = `  etcdkit services
  etcdkit services ls api
  etcdkit services watch api
  etcdkit services drain api web-1`
	cmd.Args = exactly()
	cmd.ValidArgsFunction = nil
	l.addFlags(cmd, "services")
	cmd.AddCommand(newServiceList(l), newServiceWatch(l), newServiceDrain(l))
	return cmd
}

const (
	serviceName = "the name of the service"
	instanceID  = "the ID of the instance"
)

// The states of an instance.
const (
	stateServing   = "serving"
	stateProbation = "probation"
	stateUnhealthy = "unhealthy"
	stateDraining  = "draining"
)

// instance is an instance in JSON output.
type instance struct {
	discovery.Instance
	State string `json:"state"`
}

// instancesOf returns all instances of a snapshot, those that take requests first.
func instancesOf(s *discovery.Snapshot) []instance {
	all := []instance{}
	for _, i := range s.Instances {
		state := stateServing
		if _, ok := s.Probation[i.ID]; ok {
			state = stateProbation
		}
		all = append(all, instance{i, state})
	}
	for _, i := range s.Unhealthy {
		all = append(all, instance{i, stateUnhealthy})
	}
	for _, i := range s.Draining {
		all = append(all, instance{i, stateDraining})
	}
	return all
}

// completeName completes NAME with the services of which anything is registered.
func (l *services) completeName(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return l.complete(cmd, args, begun, func(ctx context.Context, s *session.Session) ([]string, error) {
		list, err := discovery.Services(ctx, s)
		var names []string
		for _, info := range list {
			names = append(names, info.Name)
		}
		return names, err
	})
}

// completeInstance completes NAME, and then ID with those that can be drained.
func (l *services) completeInstance(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return l.completeName(cmd, args, begun)
	}
	return l.complete(cmd, args, begun, func(ctx context.Context, s *session.Session) ([]string, error) {
		snapshot, err := discovery.List(ctx, s, args[0])
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, i := range instancesOf(snapshot) {
			if i.State != stateDraining {
				ids = append(ids, i.ID)
			}
		}
		return ids, nil
	})
}
