package cluster

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// proxy is a TCP relay in front of one port of one member. Its address stays the same when the member starts again elsewhere, so
// no port is ever guessed; and it is where connections are cut.
type proxy struct {
	listener net.Listener
	serving  sync.WaitGroup // the accepting goroutine and one for each connection
	done     chan struct{}  // closed by close

	mu      sync.Mutex         // protects what follows
	backend string             // where the member listens; empty while it is down: connections are refused
	healed  chan struct{}      // closed by heal; nil while the proxy is not cut
	links   map[*link]struct{} // what is connected

	passing   sync.RWMutex // held for reading while bytes go through, so that nothing does once blackhole has returned
	swallow   bool         // protected by passing
	swallowed atomic.Int64
}

// link is one connection through the proxy.
type link struct {
	in, out net.Conn
	lossy   atomic.Bool // bytes were swallowed: what comes later would be garbage
}

func (l *link) close() {
	l.in.Close()
	l.out.Close()
}

// newProxy listens on a free port. Connections are refused until open.
func newProxy() (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cluster: listening for a proxy: %w", err)
	}
	p := &proxy{listener: listener, done: make(chan struct{}), links: map[*link]struct{}{}}
	p.serving.Go(p.accept)
	return p, nil
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

// open lets connections through to a member that listens at addr.
func (p *proxy) open(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend = addr
}

// shut closes every connection and refuses new ones, as the port of a process that is gone does.
func (p *proxy) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend = ""
	p.dropLocked()
}

// cut closes every connection and leaves new ones unanswered, as a network that is gone does. It returns how many it closed.
func (p *proxy) cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed == nil {
		p.healed = make(chan struct{})
	}
	return p.dropLocked()
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed != nil {
		close(p.healed)
		p.healed = nil
	}
}

// blackhole keeps connections open and lets nothing through. From its return on not a byte passes.
func (p *proxy) blackhole() {
	p.passing.Lock()
	defer p.passing.Unlock()
	p.swallow = true
}

// unblackhole lets new connections through again, and closes those that lost bytes. It returns how many bytes were lost.
func (p *proxy) unblackhole() int64 {
	p.passing.Lock()
	p.swallow = false
	p.passing.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropLocked()
	return p.swallowed.Swap(0)
}

func (p *proxy) dropLocked() int {
	for l := range p.links {
		l.close()
	}
	n := len(p.links)
	clear(p.links)
	return n
}

// close ends the proxy and waits for its goroutines.
func (p *proxy) close() {
	close(p.done)
	p.listener.Close()
	p.shut()
	p.serving.Wait()
}

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.serving.Go(func() { p.serve(in) })
	}
}

func (p *proxy) serve(in net.Conn) {
	defer in.Close()
	l := p.connect(in)
	if l == nil {
		return
	}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, l.out, l.in) })
	both.Go(func() { p.pump(l, l.in, l.out) })
	both.Wait()
}

// connect waits while the proxy is cut, and returns nil if the member is down or the proxy closed.
func (p *proxy) connect(in net.Conn) *link {
	for {
		p.mu.Lock()
		backend, healed := p.backend, p.healed
		p.mu.Unlock()
		if healed != nil {
			select {
			case <-healed:
				continue
			case <-p.done:
				return nil
			}
		}
		if backend == "" {
			return nil
		}
		out, err := net.Dial("tcp", backend)
		if err != nil {
			return nil
		}
		l := &link{in: in, out: out}
		if p.add(l, backend) {
			return l
		}
		out.Close() // cut or shut in between: look again
	}
}

// add counts the link in, unless things changed since it was dialled.
func (p *proxy) add(l *link, backend string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed != nil || p.backend != backend {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

// pump copies one direction until either end closes.
func (p *proxy) pump(l *link, dst, src net.Conn) {
	defer l.close()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && !p.pass(l, dst, buf[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// pass hands bytes on, or swallows them, and reports whether the connection can go on.
func (p *proxy) pass(l *link, dst net.Conn, b []byte) bool {
	p.passing.RLock()
	defer p.passing.RUnlock()
	if p.swallow {
		l.lossy.Store(true)
		p.swallowed.Add(int64(len(b)))
		return true
	}
	if l.lossy.Load() {
		return false
	}
	_, err := dst.Write(b)
	return err == nil
}
