package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"etcdkit/discovery/httpdisc"
)

// routeFlags is flags that tell where requests go.
type routeFlags struct {
	live   string // the name of the value with the routes
	routes []string
	strip  bool
	health []string

	set httpdisc.Routes // what check makes of them
}

const (
	routesFlag = "routes"
	routeFlag  = "route"
	stripFlag  = "strip-prefix"
	healthFlag = "health-path"
)

func (f *routeFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.live, routesFlag, "gateway", "the `name` of the value with the routes, see \"etcdkit config\"")
	flags.StringArrayVar(&f.routes, routeFlag, nil, "send these requests to that service, as `[host][/path]=service`, and follow no routes in etcd; can be repeated")
	flags.BoolVar(&f.strip, stripFlag, false, "with --route: the services see /x for /path/x")
	flags.StringArrayVar(&f.health, healthFlag, nil, "with --route: ask each instance for this `[service=]/path` every 5s, and send it no requests while it fails; can be repeated")
}

func (f *routeFlags) fixed() bool { return len(f.routes) > 0 }

// check turns the flags into routes.
func (f *routeFlags) check(cmd *cobra.Command) error {
	switch {
	case f.live == "":
		return errors.New("--routes must not be empty")
	case !f.fixed() && cmd.Flags().Changed(routeFlag):
		return errors.New("--route must not be empty")
	case !f.fixed() && f.strip:
		return errors.New("--strip-prefix is for --route: live routes say it themselves")
	case !f.fixed() && len(f.health) > 0:
		return errors.New("--health-path is for --route: live routes say it themselves")
	}
	for _, text := range f.routes {
		route, err := f.parse(text)
		if err != nil {
			return fmt.Errorf("--route %q: %w", text, err)
		}
		f.set.Routes = append(f.set.Routes, route)
	}
	for _, text := range f.health {
		if err := f.addHealth(text); err != nil {
			return fmt.Errorf("--health-path %q: %w", text, err)
		}
	}
	if err := f.set.Validate(); err != nil {
		return fmt.Errorf("--route: %w", err) // each is good by itself: two of them meet
	}
	return nil
}

// parse reads [HOST][/PATH]=SERVICE.
func (f *routeFlags) parse(text string) (httpdisc.Route, error) {
	from, service, ok := strings.Cut(text, "=")
	if !ok || from == "" {
		return httpdisc.Route{}, errors.New("must be [HOST][/PATH]=SERVICE, such as /api=api")
	}
	host, path := from, ""
	if i := strings.IndexByte(from, '/'); i >= 0 {
		host, path = from[:i], from[i:]
	}
	route := httpdisc.Route{Host: host, PathPrefix: path, Service: service, StripPrefix: f.strip && strings.Trim(path, "/") != ""}
	if isOwn(path) {
		return route, errors.New("what is below /-/ is the gateway's own")
	}
	return route, alone(httpdisc.Routes{Routes: []httpdisc.Route{route}}.Validate())
}

// alone is what is wrong with a single route, whose place among others does not matter.
func alone(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), "routes[0]: "))
}

// addHealth reads [SERVICE=]/PATH. Without a service it is for all that have none yet.
func (f *routeFlags) addHealth(text string) error {
	service, path, ok := strings.Cut(text, "=")
	if strings.HasPrefix(text, "/") {
		service, path, ok = "", text, true
	}
	if !ok || !strings.HasPrefix(path, "/") {
		return errors.New("must be /PATH, or SERVICE=/PATH")
	}
	if f.set.Health == nil {
		f.set.Health = make(map[string]string)
	}
	if service != "" {
		f.set.Health[service] = path
	} else {
		for _, route := range f.set.Routes {
			if f.set.Health[route.Service] == "" {
				f.set.Health[route.Service] = path
			}
		}
	}
	return f.set.Validate()
}
