package httpdisc

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Routes is what a Gateway goes by. With WithLiveRoutes it stands in etcd, where it reads like
//
//	{"routes": [{"path_prefix": "/api", "service": "api", "strip_prefix": true, "timeout": "5s"}, {"host": "shop.example.com", "service": "shop"}],
//	 "health": {"api": "/healthz"}}
type Routes struct {
	Routes []Route `json:"routes"` // in any order

	// Health has, by service, the path that each of its instances is asked for (GET) every few seconds, whatever they say of themselves.
	// One that does not answer with a status below 400, twice in a row, gets no requests until it does; if all fail, all get requests.
	Health map[string]string `json:"health,omitempty"`
}

// Route sends what is asked of a host, below a path, to a service. Of all that match, a route with the host wins over one for any host, and
// then the longest path.
type Route struct {
	Host        string        `json:"host,omitempty"`         // without port, in any case; empty for any
	PathPrefix  string        `json:"path_prefix,omitempty"`  // whole segments: "/api" is for /api and /api/x, not for /apix; empty for all
	Service     string        `json:"service"`                // as it was registered
	StripPrefix bool          `json:"strip_prefix,omitempty"` // the service sees /x for /api/x, and the prefix in X-Forwarded-Prefix
	Timeout     time.Duration `json:"timeout,omitempty"`      // until the response begins, see WithTimeout, which it replaces; below zero for none
}

// Validate names the route that cannot be used, so that a bad edit is refused as a whole and the routes stay as they were.
func (r Routes) Validate() error {
	seen := make(map[[2]string]int, len(r.Routes))
	for i, route := range r.Routes {
		if err := route.validate(); err != nil {
			return fmt.Errorf("routes[%d]: %w", i, err)
		}
		at := [2]string{hostName(route.Host), route.prefix()}
		if j, ok := seen[at]; ok {
			return fmt.Errorf("routes[%d]: host %q and path_prefix %q are those of routes[%d]", i, route.Host, route.PathPrefix, j)
		}
		seen[at] = i
	}
	for service, path := range r.Health {
		if !slices.ContainsFunc(r.Routes, func(route Route) bool { return route.Service == service }) {
			return fmt.Errorf("health: no route leads to service %q", service)
		}
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, isSpace) { // two slashes begin a host
			return fmt.Errorf("health: %q of service %q: a path begins with a slash, and not two, and has no space", path, service)
		}
	}
	return nil
}

func (r Route) validate() error {
	if err := checkService(r.Service); err != nil {
		return err
	}
	if strings.ContainsAny(r.Host, "/*@?#") || strings.ContainsFunc(r.Host, isSpace) || r.Host != "" && hostName(r.Host) == "" {
		return fmt.Errorf("host %q: must be a host name alone", r.Host)
	}
	if _, _, err := net.SplitHostPort(r.Host); err == nil {
		return fmt.Errorf("host %q: must be without a port: the gateway does not look at it", r.Host)
	}
	prefix := r.prefix()
	switch {
	case prefix != "" && prefix[0] != '/':
		return fmt.Errorf("path_prefix %q: must begin with a slash", r.PathPrefix)
	case strings.Contains(r.PathPrefix, "//") || hasDots(prefix) || strings.ContainsAny(prefix, "?#%") || strings.ContainsFunc(prefix, isSpace):
		return fmt.Errorf("path_prefix %q: must be a clean path, without escapes", r.PathPrefix)
	case r.StripPrefix && prefix == "":
		return errors.New("strip_prefix: there is no path_prefix to strip")
	}
	return nil
}

// prefix is the path that is matched: without a slash at its end, so empty for all paths.
func (r Route) prefix() string { return strings.TrimSuffix(r.PathPrefix, "/") }

// checkService refuses what cannot have been registered: names are those of session, see ErrBadName there.
func checkService(name string) error {
	if name == "" {
		return errors.New("service: must not be empty")
	}
	const maxBytes = 512
	if len(name) > maxBytes || strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("service %.64q: has more than %d bytes, or a NUL", name, maxBytes)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("service %q: has the segment %q", name, segment)
		}
	}
	return nil
}

func isSpace(r rune) bool { return r <= ' ' || r == 0x7f }

// hasDots tells whether a path has a segment that servers may take for a step to elsewhere: dots up to its end or a semicolon, for there are servers that
// cut parameters off first, and between slashes or what Windows takes for one.
func hasDots(path string) bool {
	for i := strings.IndexByte(path, '.'); i >= 0; {
		if i == 0 || isSlash(path[i-1]) {
			rest := strings.TrimPrefix(path[i+1:], ".")
			if rest == "" || isSlash(rest[0]) || rest[0] == ';' {
				return true
			}
		}
		next := strings.IndexByte(path[i+1:], '.')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// hostName returns a host as routes compare it: without port, dot at the end and capitals.
func hostName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") && (host[0] == '[' || strings.IndexByte(host, ':') == i) {
		host = host[:i]
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
