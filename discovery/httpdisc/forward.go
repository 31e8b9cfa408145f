package httpdisc

import (
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
)

// forwarded are headers by which proxies tell of the client and of what it asked for, in small letters, besides those that begin with
// forwardedPrefix. Who can set them can pretend to be another one.
var forwarded = []string{
	"forwarded", "x-real-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "cf-connecting-ip", "x-original-url", "x-rewrite-url",
}

const forwardedPrefix = "x-forwarded"

// rewriter makes the request for a service from that of the client: the path without the prefix, and who it is for. The Host header stays the
// client's, since links and cookies of the service are for it.
func (g *Gateway) rewriter(p *path) func(*httputil.ProxyRequest) {
	return func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme = ""
		p.strip(r.Out.URL) // serve has tried that it can be done
		trusted := g.trusts(r.In)
		dropForwarded(r.Out.Header, trusted)
		if trusted {
			copyHeaders(r.Out.Header, r.In.Header, "Forwarded", "X-Forwarded-For")
		}
		r.SetXForwarded()
		if trusted {
			copyHeaders(r.Out.Header, r.In.Header, "X-Forwarded-Host", "X-Forwarded-Proto")
		}
		if p.stripped != "" {
			r.Out.Header.Set("X-Forwarded-Prefix", r.Out.Header.Get("X-Forwarded-Prefix")+p.stripped)
		}
		if delete(r.Out.Header, "Http2-Settings"); !exchangeOf(r.In).upgrade {
			delete(r.Out.Header, "Connection")
			delete(r.Out.Header, "Upgrade")
		}
		r.Out.Trailer = trailers(r.In.Trailer)
	}
}

// dropForwarded drops what tells of the client; from a proxy of ours, only what is spelled with underscores: proxies spell with hyphens, so it is
// the client's, and some servers take one for the other.
func dropForwarded(h http.Header, trusted bool) {
	for name := range h {
		if isForwarded(name) && (!trusted || strings.IndexByte(name, '_') >= 0) {
			delete(h, name)
		}
	}
}

func isForwarded(name string) bool {
	if len(name) >= len(forwardedPrefix) && sameName(name[:len(forwardedPrefix)], forwardedPrefix) {
		return true
	}
	for _, other := range forwarded {
		if sameName(name, other) {
			return true
		}
	}
	return false
}

// sameName compares a header's name with one that is in small letters, and takes underscores for hyphens.
func sameName(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// trailers returns those of the client, which are filled in when its body has ended: so it has to be the same map. None are passed on where some
// would tell of the client.
func trailers(in http.Header) http.Header {
	for name := range in {
		if isForwarded(name) {
			return nil
		}
	}
	return in
}

// copyHeaders takes over those of the names that are there.
func copyHeaders(to, from http.Header, names ...string) {
	for _, name := range names {
		if values := from[name]; len(values) > 0 {
			to[name] = values
		}
	}
}

// trusts tells whether a request comes from a proxy of ours.
func (g *Gateway) trusts(r *http.Request) bool {
	if len(g.options.trusted) == 0 {
		return false
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr := from.Addr().Unmap().WithZone("")
	for _, prefix := range g.options.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
