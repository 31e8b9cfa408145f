// Package proxy is a TCP relay in which connections are cut, made half-open, slowed down, and robbed of one direction, and in which single
// replies of gRPC are held.
package proxy

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy is a TCP relay in front of one port of one member. Its address stays the same when the member starts again elsewhere, so
// no port is ever guessed; and it is where connections are cut.
type Proxy struct {
	listener net.Listener
	serving  sync.WaitGroup // the accepting goroutine and one for each connection
	done     chan struct{}  // closed by close

	mu      sync.Mutex         // protects what follows
	backend string             // where the member listens; empty while it is down: connections are refused
	healed  chan struct{}      // closed by heal; nil while the proxy is not cut
	links   map[*link]struct{} // what is connected

	passing   sync.RWMutex // held for reading while bytes go through, so that nothing does once Swallow has returned
	swallow   [2]bool      // by direction; protected by passing
	delay     [2]atomic.Int64
	swallowed atomic.Int64

	holds holds // replies that are to be held
}

// Direction is a way through the proxy.
type Direction int

// The two directions, and what a fault of both names.
const (
	Requests Direction = iota // from the client to the server
	Answers                   // and back
)

// link is one connection through the proxy.
type link struct {
	in, out net.Conn
	calls   *calls         // what goes on in it
	lossy   [2]atomic.Bool // by direction: bytes were swallowed, what comes later would be garbage
}

func (l *link) close() {
	l.in.Close()
	l.out.Close()
	l.calls.drop()
}

// New listens on a free port. Connections are refused until open.
func New() (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for a proxy: %w", err)
	}
	p := &Proxy{listener: listener, done: make(chan struct{}), links: map[*link]struct{}{}}
	p.serving.Go(p.accept)
	return p, nil
}

// URL is where clients connect.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Open lets connections through to a member that listens at addr.
func (p *Proxy) Open(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend = addr
}

// Shut closes every connection and refuses new ones, as the port of a process that is gone does.
func (p *Proxy) Shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend = ""
	p.dropLocked()
}

// Cut closes every connection and leaves new ones unanswered, as a network that is gone does. It returns how many it closed.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed == nil {
		p.healed = make(chan struct{})
	}
	return p.dropLocked()
}

// Heal ends a Cut.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed != nil {
		close(p.healed)
		p.healed = nil
	}
}

// Blackhole keeps connections open and lets nothing through. From its return on not a byte passes.
func (p *Proxy) Blackhole() { p.Swallow(Requests, Answers) }

// Swallow keeps connections open and lets nothing through in the given directions: with Answers alone the server does what it is asked, and
// the client does not hear of it. From its return on not a byte passes. Unblackhole ends it.
func (p *Proxy) Swallow(ways ...Direction) {
	p.passing.Lock()
	defer p.passing.Unlock()
	for _, way := range ways {
		p.swallow[way] = true
	}
}

// Delay makes everything that goes this way wait for so long; zero ends it.
func (p *Proxy) Delay(way Direction, d time.Duration) { p.delay[way].Store(int64(d)) }

// Unblackhole lets new connections through again, and closes those that lost bytes. It returns how many bytes were lost.
func (p *Proxy) Unblackhole() int64 {
	p.passing.Lock()
	p.swallow = [2]bool{}
	p.passing.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropLocked()
	return p.swallowed.Swap(0)
}

func (p *Proxy) dropLocked() int {
	for l := range p.links {
		l.close()
	}
	n := len(p.links)
	clear(p.links)
	return n
}

// Close ends the proxy and waits for its goroutines.
func (p *Proxy) Close() {
	close(p.done)
	p.listener.Close()
	p.Shut()
	p.serving.Wait()
}

func (p *Proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.serving.Go(func() { p.serve(in) })
	}
}

func (p *Proxy) serve(in net.Conn) {
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
	both.Go(func() { p.pump(l, Requests) })
	both.Go(func() { p.pump(l, Answers) })
	both.Wait()
}

// connect waits while the proxy is cut, and returns nil if the member is down or the proxy closed.
func (p *Proxy) connect(in net.Conn) *link {
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
		l := &link{in: in, out: out, calls: &calls{holds: &p.holds, wake: make(chan struct{}, 1)}}
		if p.add(l, backend) {
			return l
		}
		out.Close() // cut or shut in between: look again
	}
}

// add counts the link in, unless things changed since it was dialled.
func (p *Proxy) add(l *link, backend string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed != nil || p.backend != backend {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

// chunk is what was read, and when it may go on.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pump copies one direction until either end closes. What is delayed goes on in order.
func (p *Proxy) pump(l *link, way Direction) {
	defer l.close()
	src, dst := l.in, l.out
	if way == Answers {
		src, dst = l.out, l.in
	}
	chunks := make(chan chunk, 1024) // a client that has more under way than this is slowed down
	var writing sync.WaitGroup
	defer writing.Wait()
	defer close(chunks)
	writing.Go(func() { p.write(l, way, dst, chunks) })
	for {
		buf := make([]byte, 32<<10)
		n, err := src.Read(buf)
		if n > 0 {
			c := chunk{buf[:n], time.Now().Add(time.Duration(p.delay[way].Load()))}
			select {
			case chunks <- c:
			case <-p.done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write sends on what was read, when it is due, and what was held, when it is released.
func (p *Proxy) write(l *link, way Direction, dst net.Conn, chunks <-chan chunk) {
	var wake <-chan struct{}
	if way == Answers {
		wake = l.calls.wake
	}
	for broken := false; ; { // to the end of chunks, or the reader would wait for ever
		var b []byte
		select {
		case c, ok := <-chunks:
			if !ok {
				return
			}
			if broken {
				continue
			}
			broken = !p.rest(time.Until(c.due))
			b = l.calls.filter(way, c.bytes)
		case <-wake:
			b = l.calls.released()
		}
		if broken = broken || len(b) > 0 && !p.pass(l, way, dst, b); broken {
			l.close()
		}
	}
}

// rest waits, and is false if the proxy was closed meanwhile.
func (p *Proxy) rest(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}

// pass hands bytes on, or swallows them, and reports whether the connection can go on.
func (p *Proxy) pass(l *link, way Direction, dst net.Conn, b []byte) bool {
	p.passing.RLock()
	defer p.passing.RUnlock()
	if p.swallow[way] {
		l.lossy[way].Store(true)
		p.swallowed.Add(int64(len(b)))
		return true
	}
	if l.lossy[way].Load() {
		return false
	}
	_, err := dst.Write(b)
	return err == nil
}
