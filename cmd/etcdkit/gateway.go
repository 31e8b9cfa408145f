package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"etcdkit/discovery/httpdisc"
)

// gateway is one run of a gateway.
type gateway struct {
	scope
	cmd      *cobra.Command
	listen   string
	paths    routeFlags
	log      logFlags
	timeout  time.Duration
	trusted  []string
	lastGood string
	grace    time.Duration

	proxies []netip.Prefix // what check makes of trusted
}

const (
	listenFlag   = "listen"
	lastGoodFlag = "last-good"
)

func newGateway(p *program) *cobra.Command {
	g := &gateway{scope: scope{program: p}}
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Forward HTTP requests to the instances of services, whoever comes and goes",
		Long: `Forward HTTP requests to services, by host and path: to an instance that registers within milliseconds, and no longer to
one that drains, fails or is gone. Requests that can be repeated without harm are sent to another instance if one fails. While
etcd cannot be reached, they go to those that were known last.

Where requests go stands in etcd, and changes while the gateway runs: in the value --routes of "etcdkit config". An edit
that makes no sense is refused: the routes stay as they were, and the log tells why. It looks like

  {"routes": [{"path_prefix": "/api", "service": "api", "strip_prefix": true, "timeout": "5s"},
              {"host": "shop.example.com", "service": "shop"}],
   "health": {"api": "/healthz"}}

With --route, routes are fixed instead. Each is [HOST][/PATH]=SERVICE; of all that match, one with the host wins, and then
the longest path. Paths are whole segments: /api is for /api and /api/x, not for /apix.

Its own pages cannot be routed away, and are the same on every host:

  /-/healthz        200 while it takes requests; 503 while it has no routes, and from when it drains
  /-/healthz/live   200 as long as it runs
  /-/metrics        for Prometheus: requests, durations, retries, instances

The log goes to standard error: a line for each request, and for changes of the routes and of the instances' health. The
address at which it listens is printed when it is ready.

SIGTERM or Ctrl-C drains it: /-/healthz fails, half a second later no connection is accepted any more, and when all
requests have had their answers it ends with status 0. A second signal, or the end of --grace, cuts off those that are left.`,
		Example: `  etcdkit gateway --listen :8080
  etcdkit config put gateway --value '{"routes":[{"path_prefix":"/api","service":"api"}]}'
  etcdkit gateway --listen :8080 --route /api=api --route shop.example.com=shop --health-path api=/healthz
  etcdkit gateway --listen :8080 --last-good /var/lib/gateway --trusted-proxy 10.0.0.0/8 --log-format json`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	g.addFlags(cmd, "services and the routes")
	flags := cmd.Flags()
	flags.StringVar(&g.listen, listenFlag, "127.0.0.1:8080", "where to take requests, as `[host]:port`")
	g.paths.addFlags(flags)
	flags.DurationVar(&g.timeout, "timeout", 30*time.Second, "how long an instance may take until its response begins")
	flags.StringSliceVar(&g.trusted, "trusted-proxy", nil, "believe what requests from this `address or network` say in X-Forwarded-For and the like; can be repeated")
	flags.StringVar(&g.lastGood, lastGoodFlag, "", "keep what was known last in this `directory`, so that it can start while etcd is down")
	flags.DurationVar(&g.grace, "grace", 20*time.Second, "how long requests have to end after the signal to end, before they are cut off")
	g.log.addFlags(flags)
	cmd.Args = cobra.MatchAll(exactly(), exclusive(routesFlag, routeFlag), g.check)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		g.cmd = cmd
		return g.run()
	}
	return cmd
}

// check refuses flags whose values make no sense.
func (g *gateway) check(cmd *cobra.Command, _ []string) error {
	switch {
	case g.timeout <= 0:
		return fmt.Errorf("--timeout %v: must be more than zero", g.timeout)
	case g.grace < 0:
		return errors.New("--grace must not be negative")
	case g.lastGood == "" && cmd.Flags().Changed(lastGoodFlag):
		return errors.New("--last-good must not be empty")
	}
	for _, text := range g.trusted {
		prefix, err := parseNetwork(text)
		if err != nil {
			return fmt.Errorf("--trusted-proxy %q: must be an address such as 10.0.0.1, or a network such as 10.0.0.0/8", text)
		}
		g.proxies = append(g.proxies, prefix)
	}
	if err := g.log.check(); err != nil {
		return err
	}
	return g.paths.check(cmd)
}

func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// options are those of the gateway, but for what it tells.
func (g *gateway) options() []httpdisc.Option {
	opts := []httpdisc.Option{httpdisc.WithTimeout(g.timeout)}
	if !g.paths.fixed() {
		opts = append(opts, httpdisc.WithLiveRoutes(g.paths.live))
	}
	if len(g.proxies) > 0 {
		opts = append(opts, httpdisc.WithTrustedProxies(g.proxies...))
	}
	if g.lastGood != "" {
		opts = append(opts, httpdisc.WithLastGood(g.lastGood))
	}
	return opts
}
