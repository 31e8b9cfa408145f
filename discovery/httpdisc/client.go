package httpdisc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

var (
	errAborted = errors.New("the client went away before the response's end")
	errStalled = errors.New("the client did not take the response in time")
)

// clientBody is the body of a request as it comes from the client, who must not be slower than within allows until the response has begun.
type clientBody struct {
	io.ReadCloser
	x      *exchange
	conn   *http.ResponseController
	within time.Duration

	mu      sync.Mutex // protects the rest, and that deadlines are set in their order
	flowing bool       // the response has begun: both directions are a stream, which may pause
	ended   bool       // there is no more to read, or the handler has returned
}

// Read reads what comes in time.
func (b *clientBody) Read(p []byte) (int, error) {
	b.x.patience.hold()
	limited := b.limit()
	n, err := b.ReadCloser.Read(p)
	b.lift(limited, err)
	b.x.patience.resume()
	return n, err
}

// limit has the next piece come in time. It tells whether that can be done.
func (b *clientBody) limit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.flowing && !b.ended && b.conn.SetReadDeadline(time.Now().Add(b.within)) == nil
}

// lift takes the limit away where it would do harm.
func (b *clientBody) lift(limited bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	end := errors.Is(err, io.EOF)
	// After the end the server reads in order to see the client leave, and would take the end of the time for that. In HTTP/2 the time would end the
	// body even while it is an instance that does not take it.
	if limited && !b.ended && (end || b.x.told.Request.ProtoMajor > 1) {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	b.ended = b.ended || end
}

// flow says that the response is on its way.
func (b *clientBody) flow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.flowing && !b.ended {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	b.flowing = true
}

// leave says that the handler returns. What is left of the body the server reads, if it is not much, and that must not take for ever.
func (b *clientBody) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended && b.x.told.Request.ProtoMajor == 1 {
		_ = b.conn.SetReadDeadline(time.Now().Add(b.within))
	}
	b.ended = true
}

// answer writes the response to a client, who must take each piece of it within a time.
type answer struct {
	http.ResponseWriter
	x      *exchange
	conn   *http.ResponseController
	within time.Duration // 0 for as long as it takes
	wrote  int
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write writes what is taken in time.
func (a *answer) Write(p []byte) (int, error) {
	limited := a.limit()
	n, err := a.ResponseWriter.Write(p)
	a.lift(limited, err)
	a.wrote += n
	return n, err
}

// FlushError is Flush of http.ResponseController.
func (a *answer) FlushError() error {
	limited := a.limit()
	err := a.conn.Flush()
	a.lift(limited, err)
	if err == nil && a.x.body != nil {
		a.x.body.flow() // not earlier: with the header, the server reads the rest of a body, if it is not in full duplex
	}
	return err
}

// finish sends what the server would else send after the handler, without a limit. Of a small response it keeps its hands off: the server can do it
// in one piece.
func (a *answer) finish() {
	const small = 2 << 10 // what the server buffers
	if a.wrote > small {
		_ = a.FlushError() // who cannot be sent this has gone
	}
}

func (a *answer) limit() bool {
	return a.within > 0 && a.conn.SetWriteDeadline(time.Now().Add(a.within)) == nil
}

// lift keeps the time from ending while there is nothing to write, and from counting for the next request of the connection.
func (a *answer) lift(limited bool, err error) {
	switch {
	case !limited:
	case err == nil:
		_ = a.conn.SetWriteDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.x.stall()
	}
}

// takeBody bounds the body of a request.
func (g *Gateway) takeBody(a *answer, r *http.Request, x *exchange) bool {
	if x.body == nil {
		return true
	}
	if most := g.options.maxBody; most != nil {
		if r.ContentLength > *most {
			g.refuse(a, x, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request's body has more than %d bytes", *most))
			return false
		}
		x.body.ReadCloser = http.MaxBytesReader(a.ResponseWriter, x.body.ReadCloser, *most) // which looks for the server behind its argument
	}
	r.Body = x.body
	return true
}
