package httpdisc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"etcdkit/discovery"
)

// ErrClosed says that the Transport or the Gateway was closed.
var ErrClosed = errors.New("closed")

// UnavailableError says that there is nobody to send a request to. It unwraps to discovery.ErrNoInstance where the service has no instance
// to take it, and to what etcd said where its list could not be read at all.
type UnavailableError struct {
	Service string
	Err     error
	why     string
}

// Error names the service, and says why.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("no instance of service %q: %s", e.Service, e.why)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// empty tells what is known of a service without anybody to take a request.
func empty(service string, err error, s *discovery.Snapshot) error {
	if !errors.Is(err, discovery.ErrNoInstance) { // a Picker does not want to
		return &UnavailableError{service, err, err.Error()}
	}
	why := "none is registered"
	if n := len(s.Unhealthy); n > 0 {
		why = fmt.Sprintf("%d registered, and unhealthy as they say themselves", n)
	}
	if !s.StaleSince.IsZero() {
		why += fmt.Sprintf(" (as of %v ago: etcd does not answer)", time.Since(s.StaleSince).Round(time.Second))
	}
	return &UnavailableError{service, err, why}
}

// unread tells that the list of a service is not known.
func unread(service string, err error) error {
	return &UnavailableError{service, err, fmt.Sprintf("its list cannot be read: %v", err)}
}

// StatusError is what a Picker is told of a response that says that the instance cannot serve: 502, 503 or 504.
type StatusError struct{ Code int }

// Error tells the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d %s", e.Code, http.StatusText(e.Code))
}

// statusError returns nil for a response that counts as success.
func statusError(code int) error {
	switch code {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &StatusError{code}
	}
	return nil
}

// timeoutError ends requests of which an instance has not begun to answer in time.
type timeoutError struct{ after time.Duration }

// Error tells the time.
func (e *timeoutError) Error() string { return fmt.Sprintf("no response after %v", e.after) }

// Timeout makes it a timeout for those who look at net.Error.
func (e *timeoutError) Timeout() bool { return true }

// Unwrap lets errors.Is find context.DeadlineExceeded.
func (e *timeoutError) Unwrap() error { return context.DeadlineExceeded }

// never tells whether a request certainly did not reach an instance, since there was no connection.
func never(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// outcome is what a Picker is told of an attempt that ended with an error: context.Canceled stands for all that the instance
// is not to blame for.
func outcome(ctx context.Context, body *upload, err error) error {
	switch cause := context.Cause(ctx); {
	case body.err() != nil:
		return context.Canceled // the client's body has failed
	case cause != nil && errors.Is(cause, context.DeadlineExceeded):
		return cause
	case cause != nil:
		return context.Canceled
	case refused(err):
		return context.Canceled
	}
	return err
}

// refusals are how errors begin with which net/http refuses a request itself. It has no values for them.
var refusals = []string{
	"net/http: invalid ", "idna: ", // of a host
	"http2: invalid ", "http2: request header list larger ", "invalid request :path ",
}

func refused(err error) bool {
	text := strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
	for _, begins := range refusals {
		if strings.HasPrefix(text, begins) {
			return true
		}
	}
	return false
}
