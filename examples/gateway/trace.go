package main

import (
	"log/slog"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
)

// trace writes an access log, and what happens to routes and instances.
func trace(log *slog.Logger) *httpdisc.Trace {
	return &httpdisc.Trace{
		RequestDone: func(x *httpdisc.Exchange) {
			log.Info("request", "method", x.Request.Method, "path", x.Request.URL.Path, "status", x.Status, "bytes", x.Bytes,
				"instance", x.Instance.ID, "attempts", x.Attempts, "took", x.Took, "error", x.Err)
		},
		Retried: func(service string, inst *discovery.Instance, err error) {
			log.Warn("sent to another instance", "service", service, "instance", inst.ID, "error", err)
		},
		RoutesChanged: func(c *httpdisc.RoutesChange) {
			log.Info("routes", "routes", len(c.Routes.Routes), "revision", c.Revision, "refused", c.Refused, "error", c.Err)
		},
	}
}
