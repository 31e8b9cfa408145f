package httpdisc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"etcdkit/discovery"
)

// statusClientGone is what logs say (after nginx) of a client that did not wait for the response.
const statusClientGone = 499

// fail is the ErrorHandler of the proxies.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r)
	x.told.Err = err
	var unavailable *UnavailableError
	var tooBig *http.MaxBytesError
	cause := context.Cause(x.Context)
	switch {
	case errors.As(cause, new(*timeoutError)):
		x.told.Err = cause
		g.refuse(w, x, http.StatusGatewayTimeout, fmt.Sprintf("service %q: %v", x.path.Service, cause))
	case errors.Is(cause, errShutdown):
		x.told.Err = cause
		g.refuse(w, x, http.StatusServiceUnavailable, "the gateway is shutting down")
	case errors.Is(x.upload.err(), os.ErrDeadlineExceeded): // for the server, the client has left with that
		g.refuse(w, x, http.StatusRequestTimeout, "the request's body did not come in time")
	case errors.Is(cause, context.DeadlineExceeded): // a handler around this one has set it
		g.refuse(w, x, http.StatusGatewayTimeout, fmt.Sprintf("service %q: no response in time", x.path.Service))
	case cause != nil:
		g.refuse(w, x, statusClientGone, "the client went away") // so nobody gets to read it
	case errors.As(err, &unavailable):
		g.refuse(w, x, http.StatusServiceUnavailable, public(unavailable))
	case errors.Is(err, ErrClosed):
		g.refuse(w, x, http.StatusServiceUnavailable, "the gateway is closed")
	case errors.As(err, &tooBig):
		g.refuse(w, x, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request's body has more than %d bytes", tooBig.Limit))
	case x.upload.err() != nil:
		g.refuse(w, x, http.StatusBadRequest, "the request's body could not be read")
	default:
		// What exactly is for the log: addresses inside are nobody's business outside.
		g.refuse(w, x, http.StatusBadGateway, fmt.Sprintf("service %q: the instance did not answer", x.path.Service))
	}
}

// public tells what everybody may know of it: not what etcd or a Picker says.
func public(e *UnavailableError) string {
	if errors.Is(e, discovery.ErrNoInstance) {
		return e.Error()
	}
	return fmt.Sprintf("service %q cannot be reached now", e.Service)
}

// refuse answers in place of a service: in JSON for who asks for that, else in text.
func (g *Gateway) refuse(w http.ResponseWriter, x *exchange, status int, message string) {
	x.told.Status = status
	if x.told.Err == nil {
		x.told.Err = errors.New(message)
	}
	h := w.Header()
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if !strings.Contains(x.told.Request.Header.Get("Accept"), "json") {
		http.Error(w, fmt.Sprintf("%d %s: %s", status, http.StatusText(status), message), status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "error": message}) // a client that has gone
}
