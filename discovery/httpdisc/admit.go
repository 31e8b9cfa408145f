package httpdisc

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// websocket is the one protocol that a connection may become. In others, such as h2c, it would carry more requests, past the routes.
const websocket = "websocket"

// admit answers what cannot be for any service.
func (g *Gateway) admit(w http.ResponseWriter, r *http.Request, x *exchange) bool {
	protocol := upgradeOf(r.Header)
	x.upgrade = strings.EqualFold(protocol, websocket)
	draining := g.flight.draining.Load()
	if draining {
		w.Header().Set("Connection", "close")
	}
	switch {
	case g.services.closed.Load():
		g.refuse(w, x, http.StatusServiceUnavailable, "the gateway is closed")
	case draining && x.upgrade:
		g.refuse(w, x, http.StatusServiceUnavailable, "the gateway is shutting down")
	case r.Method == http.MethodConnect:
		g.refuse(w, x, http.StatusMethodNotAllowed, "CONNECT is for forward proxies")
	case !isPath(r.URL):
		g.refuse(w, x, http.StatusBadRequest, "the request's target is not a path")
	case hasDots(r.URL.Path):
		g.refuse(w, x, http.StatusBadRequest, "the path has dot segments") // servers take them for steps, past what the routes say
	case !isASCII(r.Host):
		g.refuse(w, x, http.StatusBadRequest, "the host is not in ASCII")
	case !isASCII(protocol):
		g.refuse(w, x, http.StatusBadRequest, "the header Upgrade is not in ASCII")
	default:
		return true
	}
	return false
}

// isPath tells whether a request is for a path, as routes are. Any other target would go out as it came, without a look at it. An empty path is that of
// a full URL, and goes out as a slash.
func isPath(u *url.URL) bool {
	return u.Opaque == "" && (u.Path == "" || u.Path == "*" || u.Path[0] == '/')
}

// isASCII tells whether all of it can be printed in ASCII.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// upgradeOf returns the protocol that a client wants its connection to become, empty for none.
func upgradeOf(h http.Header) string {
	if len(h["Upgrade"]) == 0 {
		return ""
	}
	for _, tokens := range h["Connection"] {
		for token := range strings.SplitSeq(tokens, ",") {
			if strings.EqualFold(textproto.TrimString(token), "upgrade") {
				return h["Upgrade"][0]
			}
		}
	}
	return ""
}
