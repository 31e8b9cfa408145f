package httpdisc

import (
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// table is a set of routes, made for looking up. It does not change.
type table struct {
	routes Routes
	hosts  map[string]*paths // by hostName; "" is for any
}

type paths struct {
	byPrefix map[string]*path
	depth    int // of the longest prefix, in segments: no lookup is for more, however many slashes a client sends
}

// path is one route in use.
type path struct {
	Route
	stripped string // the prefix that is taken away; empty for none
	timeout  time.Duration
	service  *service
	proxy    *httputil.ReverseProxy
}

// newTable makes a table of routes that are valid. prepare completes each.
func newTable(routes Routes, prepare func(*path)) *table {
	t := &table{routes: routes, hosts: make(map[string]*paths)}
	for _, route := range routes.Routes {
		p := &path{Route: route}
		if route.StripPrefix {
			p.stripped = route.prefix()
		}
		prepare(p)
		host := hostName(route.Host)
		if t.hosts[host] == nil {
			t.hosts[host] = &paths{byPrefix: make(map[string]*path)}
		}
		t.hosts[host].byPrefix[route.prefix()] = p
		t.hosts[host].depth = max(t.hosts[host].depth, strings.Count(route.prefix(), "/"))
	}
	return t
}

// find returns the route for a request, nil if there is none.
func (t *table) find(host, path string) *path {
	if len(t.hosts) > 1 || t.hosts[""] == nil {
		if ps := t.hosts[hostName(host)]; ps != nil {
			if p := ps.find(path); p != nil {
				return p
			}
		}
	}
	if ps := t.hosts[""]; ps != nil {
		return ps.find(path)
	}
	return nil
}

// find looks for the longest prefix first: that of as many segments as any has, then of one less.
func (ps *paths) find(path string) *path {
	end := 0
	for range ps.depth {
		if end >= len(path) {
			break
		}
		next := strings.IndexByte(path[end+1:], '/')
		if next < 0 {
			end = len(path)
			break
		}
		end += 1 + next
	}
	for end > 0 {
		if p := ps.byPrefix[path[:end]]; p != nil {
			return p
		}
		end = strings.LastIndexByte(path[:end], '/')
	}
	return ps.byPrefix[""]
}

// strip takes the prefix from a URL that the route was found for. It tells whether that can be done: where a client has escaped a part of the
// prefix itself, what is left of the escaped path would be a guess.
func (p *path) strip(u *url.URL) bool {
	if p.stripped == "" {
		return true
	}
	if u.RawPath != "" {
		rest, ok := cutEscaped(u.RawPath, p.stripped)
		if !ok || rest != "" && rest[0] != '/' {
			return false
		}
		u.RawPath = rooted(rest)
	}
	u.Path = rooted(strings.TrimPrefix(u.Path, p.stripped))
	return true
}

// cutEscaped takes a prefix from an escaped path. Of the prefix, what has no need to be escaped must not be, and what can be, may be.
func cutEscaped(path, prefix string) (rest string, ok bool) {
	const hex = "0123456789ABCDEF"
	for i := range len(prefix) {
		c := prefix[i]
		if path != "" && path[0] == c {
			path = path[1:]
			continue
		}
		const escape = len("%20")
		if plain(c) || len(path) < escape || !strings.EqualFold(path[:escape], string([]byte{'%', hex[c>>4], hex[c&15]})) {
			return "", false
		}
		path = path[escape:]
	}
	return path, true
}

// plain tells whether a byte never stands for itself by an escape alone: a slash, or what is unreserved in RFC 3986.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/-._~", c) >= 0
}

func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
