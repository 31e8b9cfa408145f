package proxy

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// HTTP/2 is known by its preface, however that comes, and also when the server spoke first; what goes on is what came, but for the client's
// settings.
func TestDialect(t *testing.T) {
	t.Parallel()
	theirs := slices.Concat(aFrame(kindSettings, 0, 0, "server"), aFrame(kindSettings, flagAck, 0, ""))
	ours := append([]byte(preface), slices.Concat(aFrame(kindSettings, 0, 0, "client"), aFrame(kindSettings, flagAck, 0, ""))...)
	want := append([]byte(preface), slices.Concat(aFrame(kindSettings, 0, 0, "client"+string(noTable)), aFrame(kindSettings, flagAck, 0, ""))...)
	for early := range len(theirs) + 1 {
		c := &calls{holds: &holds{}}
		answers := c.filter(Answers, theirs[:early])
		var requests []byte
		for _, b := range ours {
			requests = append(requests, c.filter(Requests, []byte{b})...)
		}
		answers = append(answers, c.filter(Answers, theirs[early:])...)
		if c.dialect != http2 || !bytes.Equal(answers, theirs) || !bytes.Equal(requests, want) {
			t.Fatalf("after %d early bytes: dialect %d, requests %q, answers %q", early, c.dialect, requests, answers)
		}
	}
}

// Traffic that is not HTTP/2 passes untouched, even if it begins like it or the server speaks first.
func TestOtherTraffic(t *testing.T) {
	t.Parallel()
	junk := string(aFrame(kindData, 0, 1, string(aMessage(100)))) + "PRI * HTTP/2.0"
	for _, begin := range []string{"GET / HTTP/1.1\r\n\r\n", preface[:20], ""} {
		greeting := "hello, I speak first" + junk
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, greeting)
			_, _ = io.Copy(conn, conn)
		}()
		p, err := New()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		p.Open(listener.Addr().String())
		h := p.HoldReply(1)
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		for _, text := range []string{greeting, begin + junk, junk} {
			if text != greeting {
				_, _ = io.WriteString(conn, text)
			}
			got := make([]byte, len(text))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
				t.Errorf("after %q: got %q, %v, want %q", begin, got, err, text)
			}
		}
		if h.Release() || h.came != 0 {
			t.Errorf("after %q: %d replies were counted", begin, h.came)
		}
	}
}
