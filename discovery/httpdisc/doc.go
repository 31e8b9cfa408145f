// Package httpdisc brings HTTP requests to the instances of a service, as a client's RoundTripper and as a gateway in front of services: who
// comes gets requests at once, who goes or fails gets none, and neither is seen by those who ask.
//
//	client := &http.Client{Transport: httpdisc.NewTransport(s)}
//	resp, err := client.Get("http://api/users/7") // an instance of the service api
//
//	routes := httpdisc.Routes{Routes: []httpdisc.Route{{PathPrefix: "/api", Service: "api"}}}
//	g, err := httpdisc.StartGateway(ctx, s, routes, httpdisc.WithLiveRoutes("gateway"))
//	srv := httpdisc.NewServer(":8080", g)
//	err = g.Shutdown(ctx, srv) // at the end
//
//	reg, err := discovery.Register(ctx, s, "api", discovery.Instance{Addr: addr})
//	err = httpdisc.Shutdown(ctx, reg, backend) // a backend's end
//
// # Guarantees
//
// A request is sent a second time only where that can do no harm: the first instance was never connected to, or the request is idempotent by its
// method (RFC 9110) or an Idempotency-Key, and its body is there again. The next one is always another instance. Retries are bounded by a budget, so
// that a service that fails as a whole does not get a multiple of its load.
//
// An instance that dies costs no such request: what was on its way is sent to another one, unless its response had begun, and after a few
// failures in a row (discovery.Ejection) it gets no more until it works again, long before its lease is over. One that leaves
// by Shutdown costs no request at all.
//
// While etcd does not answer, requests go to the instances that were known last, by the routes that were known last.
//
// A Gateway buffers no body, cuts no stream, and passes websockets and trailers on. It believes nothing that clients say of where they come from
// (WithTrustedProxies). Clients cannot hold on to an instance by being slow (WithClientTimeout, WithStallTimeout). Routes that stand in etcd change between two requests, as a whole; an edit that is not valid is refused.
//
// # Not guaranteed
//
// A response that has begun is not begun again: its reader sees it end too early. A request that is not idempotent, and was sent when its instance
// died, fails (502), since nobody knows whether it was done.
//
// A request can reach one instance twice all the same: if a kept connection turns out to be dead, net/http itself sends the request over another one,
// to the same instance. It does so where nothing was written yet, or where the request is idempotent and its body there again, so that does no
// harm either. WithRetries and WithBudget do not count it.
//
// An instance that takes requests and never answers costs those that it has: they fail after their timeout (504). Few more go there, since it is busy
// by then, and none once checks (Routes.Health) or failures in a row have found it out.
//
// A Gateway keeps the Host header of its client, and a path as it came. It refuses what servers understand in different ways (400): paths with dot
// segments, those before a semicolon or a backslash included, targets that are not paths, and hosts that are not in ASCII. Of upgrades it passes on
// websockets alone; what asks for another, such as h2c, is a request like all others. Trailers of a request that look like headers of proxies
// (X-Forwarded-For) are dropped with all others of that request. A piece of a response can wait for ten milliseconds for more. Escaped slashes count as slashes when a route is looked for.
//
// # Keys in etcd
//
// None of its own: those of package discovery for each service, and with WithLiveRoutes a value of package config.
//
// # Cost
//
// Those of one discovery.View for each service in use, and one config.Value. A request costs none.
package httpdisc
