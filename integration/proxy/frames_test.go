package proxy

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// aFrame builds a frame.
func aFrame(kind, flags byte, stream uint32, payload string) frame {
	n := len(payload)
	f := frame{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return append(binary.BigEndian.AppendUint32(f, stream), payload...)
}

// aMessage is a gRPC message with a body of n bytes.
func aMessage(n uint32) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, n), make([]byte, n)...)
}

// However the bytes come, the frames are the same, and a header's continuations stay with it.
func TestCutter(t *testing.T) {
	t.Parallel()
	want := []frame{
		aFrame(kindSettings, 0, 0, "123456"),
		aFrame(kindHeaders, flagEndHeaders, 1, "all"),
		slices.Concat(aFrame(kindHeaders, flagEndStream, 3, "a"), aFrame(kindContinuation, 0, 3, ""), aFrame(kindContinuation, flagEndHeaders, 3, "b")),
		aFrame(kindData, flagEndStream, 1, string(make([]byte, 70000))),
		aFrame(kindSettings, flagAck, 0, ""),
	}
	var all []byte
	for _, f := range want {
		all = append(all, f...)
	}
	for _, most := range []int{1, 2, 10, 1000, len(all)} {
		var c cutter
		var got []frame
		for rest := all; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(most))
			got = append(got, c.cut(rest[:n])...)
			rest = rest[n:]
		}
		if !slices.EqualFunc(got, want, func(a, b frame) bool { return bytes.Equal(a, b) }) || len(c.rest) > 0 {
			t.Errorf("in pieces of up to %d bytes: %d frames and a rest of %d bytes", most, len(got), len(c.rest))
		}
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	f := aFrame(kindData, flagPadded, 1<<31|7, "\x02data..")
	if got := string(f.data()); got != "data" || f.stream() != 7 || f.size() != len(f) || f.ends() {
		t.Errorf("padded: %q on stream %d, size %d, ends %t", got, f.stream(), f.size(), f.ends())
	}
	for _, odd := range []frame{aFrame(kindData, flagPadded, 1, ""), aFrame(kindData, flagPadded, 1, "\x09.")} {
		if got := odd.data(); len(got) > 0 {
			t.Errorf("more padding than there is room for left %q", got)
		}
	}
	ends := map[string]frame{
		"data": aFrame(kindData, flagEndStream, 1, ""), "trailers": aFrame(kindHeaders, flagEndStream, 1, ""), "reset": aFrame(kindReset, 0, 1, "0000"),
	}
	for name, f := range ends {
		if !f.ends() {
			t.Errorf("%s does not end a stream", name)
		}
	}
	if aFrame(kindSettings, flagAck, 0, "").ends() {
		t.Error("an acknowledgement ends a stream")
	}
}

// However messages are spread over frames, each begins once, in the frame with its first byte.
func TestMessages(t *testing.T) {
	t.Parallel()
	sizes := []uint32{3, 0, 0, 300, 1, 70000}
	var all []byte
	begins := map[int]bool{}
	for _, n := range sizes {
		begins[len(all)] = true
		all = append(all, aMessage(n)...)
	}
	for _, most := range []int{1, 2, 7, 20000, len(all)} {
		var m messages
		for at := 0; at < len(all); {
			n, want := min(len(all)-at, 1+rand.IntN(most)), 0
			for i := range n {
				if begins[at+i] {
					want++
				}
			}
			if got := m.begin(all[at : at+n]); got != want {
				t.Fatalf("bytes %d to %d, in pieces of up to %d: %d messages begin, want %d", at, at+n, most, got, want)
			}
			at += n
		}
	}
}
