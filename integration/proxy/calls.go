package proxy

import "slices"

// dialect is what a connection speaks.
type dialect int

const (
	unknown dialect = iota // the client has not said enough
	http2
	other
)

// noTable is a setting of the client (RFC 9113, section 6.5.2): HEADER_TABLE_SIZE is 0. Else the server would shorten headers by
// pointing to ones that it sent before, on other streams, and a reply that is held would take with it what later ones point to.
var noTable = []byte{0, 1, 0, 0, 0, 0}

// calls is what is known of one connection: whether it speaks HTTP/2, and what calls are under way on it. gRPC is all that speaks HTTP/2
// here.
type calls struct {
	holds *holds

	dialect dialect // this and what follows is protected by holds.mu
	begun   []byte  // what the client said while that was not yet a preface
	cutters [2]cutter
	early   int              // how much of a frame that is not whole has gone on, since the server spoke before the client
	open    map[uint32]*call // by stream
	closed  bool
	wake    chan struct{} // holds a token when something was released
}

// call is a stream of HTTP/2: a unary call or what gRPC calls a stream.
type call struct {
	asked    bool     // the client says no more: it is not a stream, as far as we care
	reset    bool     // the client does not want to hear any more
	messages messages // of the answer
	kept     int      // the holds that keep it
	queue    []frame  // what is held: at most the window that the client gave the stream, and its trailers
}

// filter takes bytes that go one way, and returns those that are to go on now: whole frames, if it is HTTP/2.
func (c *calls) filter(way Direction, b []byte) []byte {
	c.holds.mu.Lock()
	defer c.holds.mu.Unlock()
	switch {
	case c.dialect == other:
		return b
	case way == Requests:
		return c.requestsLocked(b)
	default:
		return c.answersLocked(b)
	}
}

func (c *calls) requestsLocked(b []byte) []byte {
	var out []byte
	if c.dialect == unknown {
		c.begun = append(c.begun, b...)
		n := min(len(c.begun), len(preface))
		switch {
		case string(c.begun[:n]) != preface[:n]:
			c.dialect, c.cutters = other, [2]cutter{}
			return c.begun
		case n < len(preface):
			return nil
		}
		c.dialect, c.open = http2, map[uint32]*call{}
		out, b = c.begun[:n:n], c.begun[n:]
	}
	for _, f := range c.cutters[Requests].cut(b) {
		out = append(out, c.requestLocked(f)...)
	}
	return out
}

// requestLocked takes note of a frame of the client, and returns what is to go on in its place.
func (c *calls) requestLocked(f frame) frame {
	s := c.open[f.stream()]
	switch {
	case f.kind() == kindSettings && !f.has(flagAck):
		n := f.size() - headerLen + len(noTable)
		f = append(f[:len(f):len(f)], noTable...)
		f[0], f[1], f[2] = byte(n>>16), byte(n>>8), byte(n)
	case f.kind() == kindHeaders && s == nil:
		c.open[f.stream()] = &call{asked: f.ends()}
	case s != nil && f.kind() == kindReset && len(s.queue) == 0:
		delete(c.open, f.stream())
	case s != nil && f.ends():
		s.asked, s.reset = true, f.kind() == kindReset
	}
	return f
}

func (c *calls) answersLocked(b []byte) []byte {
	whole := c.cutters[Answers].cut(b)
	if c.dialect == unknown {
		c.early = len(c.cutters[Answers].rest)
		return b
	}
	var out []byte
	if c.early > 0 && len(whole) > 0 {
		out, whole, c.early = append(out, whole[0][c.early:]...), whole[1:], 0
	}
	for _, f := range whole {
		out = c.answerLocked(out, f)
	}
	return out
}

// answerLocked appends to out a frame of the server, or holds it. A reply counts when its turn has come: not while it waits behind
// another one that is held.
func (c *calls) answerLocked(out []byte, f frame) []byte {
	s := c.open[f.stream()]
	if s == nil || f.kind() == kindWindowUpdate {
		return append(out, f...)
	}
	if len(s.queue) == 0 && f.kind() == kindData {
		if n := s.messages.begin(f.data()); n > 0 {
			c.holds.countLocked(c, s, n)
		}
	}
	if s.kept > 0 || len(s.queue) > 0 {
		s.queue = append(s.queue, slices.Clone(f)) // a frame keeps alive all that it was cut from
		return out
	}
	return c.passLocked(out, f)
}

// passLocked appends a frame to out, and forgets the call if that was its last.
func (c *calls) passLocked(out []byte, f frame) []byte {
	if f.ends() {
		delete(c.open, f.stream())
	}
	return append(out, f...)
}

// released returns what was held and is no longer.
func (c *calls) released() []byte {
	c.holds.mu.Lock()
	defer c.holds.mu.Unlock()
	var out []byte
	for stream, s := range c.open {
		if s.kept > 0 || len(s.queue) == 0 {
			continue
		}
		queue := s.queue
		s.queue = nil
		out = c.passLocked(out, queue[0]) // it has been counted
		for _, f := range queue[1:] {
			out = c.answerLocked(out, f)
		}
		if s.reset && len(s.queue) == 0 {
			delete(c.open, stream)
		}
	}
	return out
}

// drop forgets what is held. The connection must be closed first: what comes now would overtake it.
func (c *calls) drop() {
	c.holds.mu.Lock()
	defer c.holds.mu.Unlock()
	c.closed = true
	clear(c.open)
}
