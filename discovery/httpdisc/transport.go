package httpdisc

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"etcdkit/session"
)

// Transport is an http.RoundTripper that sends requests for a service to one of its instances.
type Transport struct {
	services *services
	hosts    func(host string) (service string, ok bool)
	others   http.RoundTripper
	bad      error
}

// NewTransport returns a Transport for services of the session's prefix. It touches nothing: a bad option is the error of the first request. With
// WithView for each service, the session may be nil.
//
// A URL whose host is one word, without a dot or a port, asks the service of that name (http://api/users); see WithHosts for others. All other
// requests, those to localhost included, go through http.DefaultTransport, or that of WithBase.
//
// The instance sees the host of the URL in the Host header, unless the request has one of its own. The request goes out over HTTPS if the URL or
// the instance's Protocol says https; the certificate must then be good for the host of the instance's address, unless
// the transport of WithBase expects another name.
func NewTransport(s *session.Session, opts ...Option) *Transport {
	o := newOptions(opts)
	t := &Transport{services: newServices(s, o), hosts: o.hosts, others: o.base, bad: o.checkTransport()}
	if t.hosts == nil {
		t.hosts = oneWord
	}
	if t.others == nil {
		t.others = http.DefaultTransport
	}
	return t
}

// oneWord is the rule of NewTransport.
func oneWord(host string) (service string, ok bool) {
	return host, host != "" && host != "localhost" && !strings.ContainsAny(host, ".:")
}

// RoundTrip sends a request to an instance of the service that its URL names. If that fails and a repetition can do no harm, it is sent to another
// one: the request had no connection yet, or its method is idempotent (RFC 9110) or it has an Idempotency-Key; and its body was not read from, or
// GetBody gives it again. So it is if the response is 502 or 503. WithRetries and WithBudget bound that. The response or error
// of the last attempt is returned; where nobody was there to be tried, an *UnavailableError.
//
// The first request to a service waits until its list is there, for five seconds at most. A list without requests for five to ten minutes is
// not followed any longer, until the next one.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.bad != nil || req.URL == nil {
		closeBody(req)
		if t.bad == nil {
			return nil, fmt.Errorf("httpdisc: %w", errNoURL)
		}
		return nil, fmt.Errorf("httpdisc: %w", t.bad)
	}
	name, ok := t.hosts(req.URL.Host)
	if !ok {
		return t.others.RoundTrip(req)
	}
	sv, err := t.services.get(name)
	if err != nil {
		closeBody(req)
		return nil, fmt.Errorf("httpdisc: service %q: %w", name, err)
	}
	return sv.send(req, nil)
}

var errNoURL = errors.New("a request without a URL")

// Close ends the following of all services and closes idle connections. Requests in flight go on, and new ones fail with ErrClosed.
func (t *Transport) Close() error {
	t.services.close()
	return nil
}

// CloseIdleConnections is for http.Client.CloseIdleConnections.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.services.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // as a RoundTripper has to
	}
}
