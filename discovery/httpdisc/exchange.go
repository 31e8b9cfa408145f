package httpdisc

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"etcdkit/discovery"
)

// exchange is a request of a Gateway's client on its way. It is the request's context, too: that is how it is found from below.
type exchange struct {
	context.Context // ends with the client, the timeout or the gateway's
	told            Exchange

	path     *path
	upgrade  bool // the client wants a websocket
	body     *clientBody
	upload   *upload
	conn     io.Closer // to the instance, once that has agreed to the upgrade
	began    time.Time
	patience patience

	mu      sync.Mutex // protects the rest, and told.Bytes: an upgraded connection has two directions
	cut     error      // what the response's body met
	stalled bool       // the client took too long for the response
	over    bool       // the handler has returned: what comes later is nobody's business
}

type exchangeKey struct{}

// Value finds the exchange itself.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

func exchangeOf(r *http.Request) *exchange {
	return r.Context().Value(exchangeKey{}).(*exchange)
}

// attempt says which instance gets the request now.
func (x *exchange) attempt(inst discovery.Instance) {
	if x != nil {
		x.told.Instance = inst
		x.told.Attempts++
	}
}

// received says that the response's body has ended.
func (x *exchange) received(bytes int64, err error) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.over {
		x.told.Bytes, x.cut = bytes, err
	}
}

// stall says that the client does not take the response.
func (x *exchange) stall() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stalled = true
}

// switched says that the connection to the instance is one of another protocol from now on. It is closed with the exchange, whatever becomes of it.
func (x *exchange) switched(conn io.Closer) {
	if x != nil {
		x.conn = conn
	}
}

// leave gives back what belongs to the client and to the instance.
func (x *exchange) leave() {
	if x.body != nil {
		x.body.leave()
	}
	if x.conn != nil {
		_ = x.conn.Close() // as a rule the proxy has done so
	}
}

// end completes what is told of the exchange.
func (x *exchange) end(aborted bool) *Exchange {
	x.patience.end()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	x.told.Took = time.Since(x.began)
	switch {
	case x.told.Err != nil:
	case x.stalled:
		x.told.Err = errStalled
	case x.cut != nil:
		x.told.Err = x.cut
	case aborted:
		x.told.Err = errAborted
	}
	return &x.told
}

// patience ends an exchange when its instance takes too long. It does not run while the client is what everybody waits for.
type patience struct {
	after time.Duration // 0: it never ends

	mu    sync.Mutex // protects the rest
	timer *time.Timer
	over  bool
}

func (p *patience) begin(after time.Duration, give func(error)) {
	if p.after = max(after, 0); after > 0 {
		p.timer = time.AfterFunc(after, func() { give(&timeoutError{after}) })
	}
}

// hold stops the clock, and resume starts it anew.
func (p *patience) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
}

func (p *patience) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil && !p.over {
		p.timer.Reset(p.after)
	}
}

// end stops it for good: the response has begun.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
}
