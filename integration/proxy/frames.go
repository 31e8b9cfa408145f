package proxy

import "encoding/binary"

// preface is how the client begins an HTTP/2 connection (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Types of frames (RFC 9113, section 6). What is not named here is of no interest.
const (
	kindData         = 0x0
	kindHeaders      = 0x1
	kindReset        = 0x3
	kindSettings     = 0x4
	kindWindowUpdate = 0x8
	kindContinuation = 0x9
)

// Flags of frames. Some mean one thing in one type and another in the next.
const (
	flagAck        = 0x1 // of settings
	flagEndStream  = 0x1 // of data and headers
	flagEndHeaders = 0x4
	flagPadded     = 0x8
)

// headerLen is the length of what stands before the payload of each frame.
const headerLen = 9

// frame is one whole frame, or a HEADERS frame and the CONTINUATIONs that belong to it: nothing may come between those.
type frame []byte

// size is the length of the first frame in f, which need not be whole.
func (f frame) size() int { return headerLen + (int(f[0])<<16 | int(f[1])<<8 | int(f[2])) }

func (f frame) kind() byte         { return f[3] }
func (f frame) has(flag byte) bool { return f[4]&flag != 0 }
func (f frame) stream() uint32     { return binary.BigEndian.Uint32(f[5:]) &^ (1 << 31) }

// ends is true if the sender says no more on this stream.
func (f frame) ends() bool {
	switch f.kind() {
	case kindData, kindHeaders:
		return f.has(flagEndStream)
	}
	return f.kind() == kindReset
}

// data is what a DATA frame carries.
func (f frame) data() []byte {
	b := f[headerLen:]
	if !f.has(flagPadded) || len(b) == 0 {
		return b
	}
	pad := int(b[0])
	return b[1:max(1, len(b)-pad)]
}

// cutter makes frames of bytes as they come.
type cutter struct {
	rest []byte // of a frame that is not whole yet: at most 16 KiB, unless its receiver allowed more
}

// cut returns the frames that are whole now. They are good until the garbage collector takes them: no later cut writes into them.
func (c *cutter) cut(b []byte) []frame {
	var whole []frame
	c.rest = append(c.rest, b...)
	for n := first(c.rest); n > 0; n = first(c.rest) {
		whole = append(whole, c.rest[:n:n])
		c.rest = c.rest[n:]
	}
	return whole
}

// first is the length of the first whole frame in b, CONTINUATIONs included; zero if it is not whole.
func first(b []byte) int {
	for n := 0; len(b)-n >= headerLen; {
		f := frame(b[n:])
		if n += f.size(); n > len(b) {
			return 0
		}
		if k := f.kind(); k != kindHeaders && k != kindContinuation || f.has(flagEndHeaders) {
			return n
		}
	}
	return 0
}

// messages follows the gRPC messages in the DATA frames of one direction of a stream.
type messages struct {
	prefix []byte // of the message that begins, as far as it has come: a flag, and the length in four bytes
	left   uint32 // of the message's body
}

// begin returns how many messages begin in b.
func (m *messages) begin(b []byte) int {
	n := 0
	for len(b) > 0 {
		if m.left > 0 {
			k := min(uint64(len(b)), uint64(m.left))
			b, m.left = b[k:], m.left-uint32(k)
			continue
		}
		if len(m.prefix) == 0 {
			n++
		}
		m.prefix, b = append(m.prefix, b[0]), b[1:]
		if len(m.prefix) == 5 {
			m.prefix, m.left = m.prefix[:0], binary.BigEndian.Uint32(m.prefix[1:])
		}
	}
	return n
}
