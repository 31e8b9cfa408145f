package httpdisc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"etcdkit/discovery"
)

// send gives a request to an instance, and to another one as long as that is safe and the budget allows it. x, if there is one, is told:
// then the request is a Gateway's own, and may be changed.
func (sv *service) send(req *http.Request, x *exchange) (*http.Response, error) {
	body := newUpload(req)
	if x != nil {
		x.upload = body
	}
	resp, err := sv.attempts(req, body, x)
	body.settle()
	return resp, err
}

func (sv *service) attempts(req *http.Request, body *upload, x *exchange) (*http.Response, error) {
	ctx := req.Context()
	if err := sendable(req); err != nil {
		return nil, err
	}
	v, err := sv.current(ctx)
	if err != nil {
		return nil, err
	}
	sv.budget.request()
	inst, done, err := sv.pick(v, req)
	if err != nil {
		return nil, err
	}
	var tried []string
	for {
		out, err := outgoing(req, &inst, body, x != nil, tried == nil)
		if err != nil {
			done(context.Canceled)
			return nil, err
		}
		x.attempt(inst)
		resp, err := sv.of.base.RoundTrip(out)
		var failure error // what a Picker is told
		switch {
		case err != nil:
			failure = outcome(ctx, body, err)
		default:
			failure = statusError(resp.StatusCode)
		}
		again := failure != nil && ctx.Err() == nil && !errors.Is(failure, context.Canceled) && repeatable(req, body, resp, err)
		if again {
			tried = append(tried, inst.ID)
			if other, otherDone, ok := sv.another(v, req, tried); ok {
				sv.retried(&inst, failure)
				done(failure)
				if resp != nil {
					_ = resp.Body.Close() // nobody wants it any more
				}
				inst, done = other, otherDone
				continue
			}
		}
		if err != nil {
			done(failure)
			return nil, err
		}
		sv.deliver(resp, req, failure, done, x)
		return resp, nil
	}
}

// sendable refuses what no instance can be asked, before one is chosen that would be blamed for it.
func sendable(req *http.Request) error {
	scheme := req.URL.Scheme
	switch {
	case req.Context().Err() != nil:
		return context.Cause(req.Context())
	case req.Header == nil:
		return errors.New("httpdisc: a request without a Header")
	case scheme != "" && scheme != "http" && scheme != "https":
		return fmt.Errorf("httpdisc: a request with the scheme %q", scheme)
	case req.Body == nil && req.ContentLength > 0:
		return fmt.Errorf("httpdisc: %w", errLength)
	}
	return nil
}

// outgoing returns the request as an instance gets it. One that is a Gateway's own is changed for the first instance, and for others copied.
func outgoing(req *http.Request, inst *discovery.Instance, body *upload, own, first bool) (*http.Request, error) {
	out := req
	if !own || !first {
		out = new(http.Request)
		*out = *req
		u := *req.URL
		out.URL = &u
		if out.Host == "" {
			out.Host = req.URL.Host
		}
	}
	switch {
	case inst.Protocol == "https":
		out.URL.Scheme = "https"
	case own || out.URL.Scheme == "":
		out.URL.Scheme = "http"
	}
	out.URL.Host = inst.Addr
	if body != nil {
		b, err := body.begin()
		if err != nil {
			return nil, err
		}
		out.Body = b
	}
	return out, nil
}

// repeatable tells whether a request may be sent to another instance: it never reached the first, or doing it twice is as good as once. A
// response of 504 took its time already, and is not asked for again.
func repeatable(req *http.Request, body *upload, resp *http.Response, err error) bool {
	switch {
	case resp != nil && resp.StatusCode == http.StatusGatewayTimeout:
		return false
	case err != nil && never(err) && body.unread():
		return true
	}
	return idempotent(req) && body.again()
}

// idempotent is section 9.2.2 of RFC 9110, and the header by which clients say so.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return len(req.Header["Idempotency-Key"]) > 0 || len(req.Header["X-Idempotency-Key"]) > 0
}

func (sv *service) retried(inst *discovery.Instance, err error) {
	if f := sv.of.options.trace.Retried; f != nil {
		f(sv.name, inst, err)
	}
}

// deliver has done called when the response has ended, whoever ends it; or an upgraded connection begins.
func (sv *service) deliver(resp *http.Response, req *http.Request, failure error, done func(error), x *exchange) {
	resp.Request = req
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// How such a connection ends is between the two who use it, and how long it is open would be taken for a latency.
		done(nil)
		if conn, ok := resp.Body.(io.Writer); ok {
			resp.Body = upgraded{&download{ReadCloser: resp.Body, done: func(n int64, _ error) { x.received(n, nil) }}, conn}
			x.switched(resp.Body)
		}
		return
	}
	if resp.Body == http.NoBody {
		done(failure)
		return
	}
	ctx := req.Context()
	resp.Body = &download{ReadCloser: resp.Body, done: func(n int64, err error) {
		x.received(n, err)
		switch {
		case err == nil:
			err = failure
		case ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded):
			err = context.Canceled
		}
		done(err)
	}}
}
