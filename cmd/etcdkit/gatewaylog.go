package main

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
)

// logFlags is flags that tell how a gateway logs.
type logFlags struct {
	format, to string
	noAccess   bool
}

const (
	logText   = "text"
	logJSON   = "json"
	logStderr = "stderr"
	logStdout = "stdout"
)

func (f *logFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.format, "log-format", logText, "how to write the log: `text or json`")
	flags.StringVar(&f.to, "log-to", logStderr, "where to write the log: `stderr or stdout`")
	flags.BoolVar(&f.noAccess, "no-access-log", false, "log no requests")
}

func (f *logFlags) check() error {
	switch {
	case f.format != logText && f.format != logJSON:
		return fmt.Errorf("--log-format %q: must be %s or %s", f.format, logText, logJSON)
	case f.to != logStderr && f.to != logStdout:
		return fmt.Errorf("--log-to %q: must be %s or %s", f.to, logStderr, logStdout)
	}
	return nil
}

func (f *logFlags) open(cmd *cobra.Command) *slog.Logger {
	to := cmd.ErrOrStderr()
	if f.to == logStdout {
		to = cmd.OutOrStdout()
	}
	if f.format == logJSON {
		return slog.New(slog.NewJSONHandler(to, nil))
	}
	return slog.New(slog.NewTextHandler(to, nil))
}

// trace is what happens to requests, for the log and the metrics.
func (f *logFlags) trace(log *slog.Logger, m *metrics) *httpdisc.Trace {
	return &httpdisc.Trace{
		RequestDone: func(x *httpdisc.Exchange) {
			m.count(x)
			if !f.noAccess {
				logRequest(log, x)
			}
		},
		Retried:   m.retried,
		Exhausted: m.spent,
		Checked: func(service string, inst *discovery.Instance, err error) {
			if err != nil {
				log.Warn("the instance fails its health check", "service", service, "instance", inst.ID, "addr", inst.Addr, "error", err)
				return
			}
			log.Info("the instance passes its health check again", "service", service, "instance", inst.ID, "addr", inst.Addr)
		},
		RoutesChanged: func(c *httpdisc.RoutesChange) {
			switch {
			case c.Refused != nil:
				m.refused.Inc() // the session has logged it
			case c.Err != nil:
				log.Warn("the routes cannot be followed, and stay as they are", "routes", len(c.Routes.Routes), "error", c.Err)
			default:
				log.Info("new routes", "routes", len(c.Routes.Routes), "revision", c.Revision)
			}
		},
	}
}

// logRequest leaves the query out: there are secrets in some.
func logRequest(log *slog.Logger, x *httpdisc.Exchange) {
	client, _, err := net.SplitHostPort(x.Request.RemoteAddr)
	if err != nil {
		client = x.Request.RemoteAddr
	}
	args := []any{
		"client", client, "method", x.Request.Method, "host", x.Request.Host, "path", x.Request.URL.EscapedPath(), "status", x.Status, "bytes", x.Bytes,
		"service", serviceOf(x), "instance", x.Instance.ID, "attempts", x.Attempts, "seconds", x.Took.Seconds(),
	}
	if x.Err != nil {
		args = append(args, "error", x.Err)
	}
	log.Info("request", args...)
}
