package httpdisc

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// upload is the body of a request over all of its attempts. A transport closes the body that it is given even if it never read from it, so each
// attempt gets a stand-in, and the body itself is closed with the last.
type upload struct {
	req  *http.Request // that it belongs to
	body io.ReadCloser // that of req, in whose place there may be a stand-in by now

	mu      sync.Mutex // protects the rest, and is never held over a read
	current *attempt
	touched bool  // somebody has begun to read it
	failed  error // what is wrong with it: the client's fault, not that of an instance
}

// newUpload returns nil where there is no body.
func newUpload(req *http.Request) *upload {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	return &upload{req: req, body: req.Body}
}

var errLength = errors.New("the body is not as long as ContentLength says")

// begin returns the body for an attempt, or an error where there is none to be had again.
func (u *upload) begin() (io.ReadCloser, error) {
	u.mu.Lock()
	again, touched := u.current != nil, u.touched
	u.mu.Unlock()
	a := &attempt{u: u, from: u.body}
	if again && touched {
		fresh, err := u.req.GetBody()
		if err != nil {
			return nil, err
		}
		a.from, a.fresh, a.last = fresh, true, true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.current = a
	return a, nil
}

// again tells whether there can be another attempt: nothing was read, or the body can be had anew.
func (u *upload) again() bool {
	if u == nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed == nil && (!u.touched || u.req.GetBody != nil)
}

// unread tells whether no byte of it can have been sent.
func (u *upload) unread() bool {
	if u == nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.touched
}

// err tells what reading the body met.
func (u *upload) err() error {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
}

// settle says that no attempt follows. If the current one was closed, the body is; else it will be when the transport closes it.
func (u *upload) settle() {
	if u == nil {
		return
	}
	u.mu.Lock()
	a := u.current
	closed := a == nil || a.closed
	if a != nil {
		a.last = true
	}
	u.mu.Unlock()
	if closed || a.fresh {
		_ = u.body.Close() // nobody is left to be told
	}
}

// attempt is the body as one attempt sees it.
type attempt struct {
	u     *upload
	from  io.ReadCloser
	fresh bool // from is of GetBody, and nobody else's

	last, closed, ended bool  // protected by u.mu
	read                int64 // the same
}

// Read reads the body itself.
func (a *attempt) Read(p []byte) (int, error) {
	a.u.mu.Lock()
	a.u.touched = true
	closed, ended := a.closed, a.ended
	a.u.mu.Unlock()
	switch {
	case ended:
		// A transport reads once more after the end. A server's body says by then that it is closed, if the response has begun: that would be
		// taken for a failure, and cut the response off.
		return 0, io.EOF
	case closed:
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := a.from.Read(p)
	a.u.mu.Lock()
	defer a.u.mu.Unlock()
	a.read += int64(n)
	a.ended = errors.Is(err, io.EOF)
	announced := a.u.req.ContentLength // a transport fails where that is not true; 0 and less are of no known length
	switch {
	case err != nil && !a.ended:
		a.u.failed = err
	case announced > 0 && (a.read > announced || a.ended && a.read < announced):
		a.u.failed = errLength
	}
	return n, err
}

// Close ends the attempt, and closes the body if no other attempt can follow.
func (a *attempt) Close() error {
	a.u.mu.Lock()
	last := a.last && !a.closed
	a.closed = true
	a.u.mu.Unlock()
	if last {
		return a.from.Close()
	}
	return nil
}

// download is the body of a response: it tells once, when it has ended or is closed, how it went.
type download struct {
	io.ReadCloser
	once sync.Once
	done func(bytes int64, err error)
	read atomic.Int64
}

// Read counts, and ends at the end.
func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.read.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		d.end(nil)
	case err != nil:
		d.end(err)
	}
	return n, err
}

// Close is the end too: that the reader had enough is nobody's failure.
func (d *download) Close() error {
	d.end(nil) // before a Read that goes on at the same time can meet the close
	return d.ReadCloser.Close()
}

func (d *download) end(err error) {
	d.once.Do(func() { d.done(d.read.Load(), err) })
}

// upgraded is a connection that has become one of another protocol.
type upgraded struct {
	*download
	conn io.Writer
}

// Write sends.
func (u upgraded) Write(p []byte) (int, error) { return u.conn.Write(p) }

// CloseWrite ends one direction, where the connection can do that.
func (u upgraded) CloseWrite() error {
	if c, ok := u.conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return http.ErrNotSupported
}
