package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is what came of a load.
type outcome struct {
	requests, failed int64
	seconds          float64
	example          string // of a failure
}

// flawless fails if anything has.
func (o outcome) flawless() {
	if o.failed > 0 {
		check(fmt.Errorf("%d of %d requests failed, such as: %s", o.failed, o.requests, o.example))
	}
}

// generator sends requests until it is stopped.
type generator struct{ part *part }

func startLoad(b *bench, addr string, posts bool) generator {
	what := "gets"
	if posts {
		what = "posts"
	}
	return generator{startPart(b, "load", addr, what)}
}

func (g generator) stop() outcome {
	var said struct {
		Requests, Failed int64
		Seconds          float64
		Example          string
	}
	check(json.Unmarshal([]byte(g.part.stop()), &said))
	return outcome{said.Requests, said.Failed, said.Seconds, said.Example}
}

// loadPart sends requests to an address, over 64 connections, each when the last one was answered. With posts every other one is a POST. It is written
// for this, since net/http's client would take more of the machine than a gateway.
func loadPart(addr string, posts bool) {
	const connections = 64
	l := &sender{addr: addr, posts: posts}
	var all sync.WaitGroup
	begun := time.Now()
	for range connections {
		all.Go(l.run)
	}
	answer("sending", func(string) string { return "" })
	l.over.Store(true)
	all.Wait()
	example, _ := l.example.Load().(string)
	data, err := json.Marshal(map[string]any{
		"requests": l.requests.Load(), "failed": l.failed.Load(), "seconds": time.Since(begun).Seconds(), "example": example,
	})
	check(err)
	fmt.Println(string(data))
}

type sender struct {
	addr             string
	posts            bool
	over             atomic.Bool
	requests, failed atomic.Int64
	example          atomic.Value
}

// run is one connection after the other, of which there is only one unless something fails.
func (s *sender) run() {
	get := []byte("GET /api/x HTTP/1.1\r\nHost: example.com\r\n\r\n")
	post := []byte("POST /api/x HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody")
	n := 0
	for !s.over.Load() {
		conn, err := net.DialTimeout("tcp", s.addr, 10*time.Second)
		if err != nil {
			s.fail(err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		in := bufio.NewReader(conn)
		for again := true; again && !s.over.Load(); n++ {
			request := get
			if s.posts && n%2 == 1 {
				request = post
			}
			s.requests.Add(1)
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err = conn.Write(request); err == nil {
				again, err = readResponse(in)
			}
			if err != nil {
				s.fail(err)
				break
			}
		}
		_ = conn.Close()
	}
}

func (s *sender) fail(err error) {
	s.failed.Add(1)
	s.example.Store(err.Error())
}

// readResponse reads one, and tells whether the connection is good for more. All but a 200 with the whole body is an error.
func readResponse(in *bufio.Reader) (again bool, err error) {
	status, err := in.ReadString('\n')
	if err != nil {
		return false, err
	}
	length, again := -1, true
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return false, err
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok {
			break
		}
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(value); err != nil {
				return false, err
			}
		case strings.EqualFold(name, "Connection"):
			again = !strings.EqualFold(value, "close")
		}
	}
	if length < 0 {
		return false, errors.New("a response without a length")
	}
	if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
		return false, err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") || length != bodySize {
		return false, fmt.Errorf("%s, %d bytes", strings.TrimSpace(status), length)
	}
	return again, nil
}
