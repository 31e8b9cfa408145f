package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a client and etcd, and can cut the connections that it carries.
type proxy struct {
	listener net.Listener
	to       string

	mu    sync.Mutex // protects what follows
	conns []net.Conn

	answered atomic.Int64 // bytes that came from etcd
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveProxy(t, listener, to)
}

func serveProxy(t *testing.T, listener net.Listener, to string) *proxy {
	t.Helper()
	p := &proxy{listener: listener, to: to}
	var serving sync.WaitGroup
	serving.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		serving.Wait()
	})
	return p
}

func (p *proxy) endpoint() string { return p.listener.Addr().String() }

func (p *proxy) serve() {
	var carrying sync.WaitGroup
	defer carrying.Wait()
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		carrying.Go(func() { carry(in, &counting{out, &p.answered}) })
		carrying.Go(func() { carry(out, in) })
	}
}

// carry copies until either end is closed, and then closes the other.
func carry(to io.WriteCloser, from io.Reader) {
	_, _ = io.Copy(to, from) // a cut is what it is for
	_ = to.Close()
}

// counting counts what is read.
type counting struct {
	from io.Reader
	n    *atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// cut closes all connections; new ones are accepted.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}
