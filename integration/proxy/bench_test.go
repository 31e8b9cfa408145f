package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// bench is a gRPC server that says what it is told, a proxy before it and a client.
type bench struct {
	*Proxy
	client *grpc.ClientConn
	ctx    context.Context // of all that must happen
	dialed *counter
}

// counter is a listener that counts connections.
type counter struct {
	net.Listener
	n atomic.Int32
}

func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	c.n.Add(1)
	return conn, err
}

// echo answers each message of a call with the same, be it unary or a stream. Headers and trailers repeat the first one, as what
// makes HTTP/2 refer to earlier headers.
func echo(_ any, call grpc.ServerStream) error {
	for first := true; ; first = false {
		var m wrapperspb.StringValue
		if err := call.RecvMsg(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if first {
			label := m.Value[:min(len(m.Value), 20)]
			if err := call.SetHeader(metadata.Pairs("said", label)); err != nil {
				return err
			}
			call.SetTrailer(metadata.Pairs("said-last", label))
		}
		if err := call.SendMsg(&m); err != nil {
			return err
		}
	}
}

func setup(t *testing.T) *bench {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dialed: &counter{Listener: listener}}
	server := grpc.NewServer(grpc.UnknownServiceHandler(echo))
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(b.dialed) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-serving; err != nil {
			t.Error(err)
		}
	})
	if b.Proxy, err = New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close) // it returns when all goroutines have
	b.Open(listener.Addr().String())
	b.client, err = grpc.NewClient(strings.TrimPrefix(b.URL(), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	b.ctx = ctx
	b.say(t, "the connection is there")
	return b
}

// say makes a unary call, and checks that all of its answer is its own.
func (b *bench) say(t *testing.T, text string) {
	t.Helper()
	if err := b.try(b.ctx, text); err != nil {
		t.Errorf("saying %.20q: %v", text, err)
	}
}

func (b *bench) try(ctx context.Context, text string) error {
	var header, trailer metadata.MD
	var answer wrapperspb.StringValue
	err := b.client.Invoke(ctx, "/test/Say", wrapperspb.String(text), &answer, grpc.Header(&header), grpc.Trailer(&trailer), grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	label := text[:min(len(text), 20)]
	if answer.Value != text || strings.Join(header["said"], "") != label || strings.Join(trailer["said-last"], "") != label {
		return errors.New("the answer is mixed up: " + label + ", " + strings.Join(header["said"], "") + ", " + strings.Join(trailer["said-last"], ""))
	}
	return nil
}

// async is say in the background.
func (b *bench) async(ctx context.Context, text string) <-chan error {
	said := make(chan error, 1)
	go func() { said <- b.try(ctx, text) }()
	return said
}

// talk is a stream, and what came on it.
type talk struct {
	grpc.ClientStream
	heard chan string
}

func (b *bench) talk(t *testing.T, ctx context.Context) *talk {
	t.Helper()
	stream, err := b.client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test/Talk")
	if err != nil {
		t.Fatal(err)
	}
	s := &talk{stream, make(chan string, 100)}
	go func() {
		defer close(s.heard)
		var m wrapperspb.StringValue
		for stream.RecvMsg(&m) == nil {
			s.heard <- m.Value
		}
	}()
	return s
}

func (s *talk) say(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := s.SendMsg(wrapperspb.String(text)); err != nil {
			t.Errorf("saying %.20q: %v", text, err)
		}
	}
}

func (s *talk) hear(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		select {
		case got, ok := <-s.heard:
			if !ok || got != text {
				t.Errorf("heard %.20q (%t), want %.20q", got, ok, text)
			}
		case <-time.After(patience):
			t.Fatalf("did not hear %.20q", text)
		}
	}
}

// silent checks that nothing has come.
func (s *talk) silent(t *testing.T) {
	t.Helper()
	select {
	case got, ok := <-s.heard:
		t.Errorf("heard %.20q (%t), which should have been held", got, ok)
	default:
	}
}

// await waits until the reply is held.
func (b *bench) await(t *testing.T, h *Held) {
	t.Helper()
	if err := h.Wait(b.ctx); err != nil {
		t.Fatal(err)
	}
}

func release(t *testing.T, h *Held) {
	t.Helper()
	if !h.Release() {
		t.Error("there was nothing to release")
	}
}

// sound checks that nothing happened to the connection, and that nothing is remembered of calls that are over.
func (b *bench) sound(t *testing.T) {
	t.Helper()
	if n := b.dialed.n.Load(); n != 1 {
		t.Errorf("%d connections: the first one broke", n)
	}
	b.eventually(t, "the end of all calls", func() bool { return b.remembered() == 0 }) // what was released goes on in its own time
}

// eventually waits until a condition holds that nothing announces.
func (b *bench) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-b.ctx.Done():
			t.Fatalf("it never came about: %s", what)
		}
	}
}

func (b *bench) remembered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds.mu.Lock()
	defer b.holds.mu.Unlock()
	n := 0
	for l := range b.links {
		n += len(l.calls.open)
	}
	return n
}
