package koanfkit

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// pipe stands between a client and etcd, and can be cut.
type pipe struct {
	t      *testing.T
	server string // an address
	addr   string // of the pipe
	group  sync.WaitGroup

	mu       sync.Mutex // protects what follows
	listener net.Listener
	conns    []net.Conn
}

func newPipe(t *testing.T, client *clientv3.Client) *pipe {
	p := &pipe{t: t, server: strings.TrimPrefix(client.Endpoints()[0], "http://"), addr: "127.0.0.1:0"}
	p.mend()
	t.Cleanup(func() { p.cut(); p.group.Wait() })
	return p
}

// client returns a client that reaches etcd through the pipe.
func (p *pipe) client(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(session.ClientConfig("http://" + p.addr))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// mend lets connections through.
func (p *pipe) mend() {
	l, err := net.Listen("tcp", p.addr)
	must(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.addr = l, l.Addr().String()
	p.group.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", p.server)
			if err != nil {
				near.Close()
				continue
			}
			p.join(near, far)
		}
	})
}

func (p *pipe) join(near, far net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, near, far)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		p.group.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // until it is cut, or either end has closed
			near.Close()
			far.Close()
		})
	}
}

// cut ends all connections and lets no new ones through.
func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for _, c := range p.conns {
		c.Close()
	}
}
