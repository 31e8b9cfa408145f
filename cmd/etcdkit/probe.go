package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// probe is how to find out whether a server is healthy.
type probe struct {
	url      string
	command  string
	interval time.Duration
	timeout  time.Duration

	ask func(ctx context.Context) error // what check makes of them; nil if nothing is to be asked
}

const (
	checkFlag = "check"
	execFlag  = "exec"
)

func (p *probe) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.url, checkFlag, "", "it is healthy while this `URL` answers: http, https or tcp")
	flags.StringVar(&p.command, execFlag, "", "it is healthy while this `command` of the shell ends with 0")
	flags.DurationVar(&p.interval, "interval", 5*time.Second, "how long to wait between two checks")
	flags.DurationVar(&p.timeout, "timeout", 2*time.Second, "how long a check may take")
}

// check refuses what cannot be asked.
func (p *probe) check() (err error) {
	switch {
	case p.interval <= 0:
		return fmt.Errorf("--interval %v: must be more than zero", p.interval)
	case p.timeout <= 0:
		return fmt.Errorf("--timeout %v: must be more than zero", p.timeout)
	case p.command != "":
		p.ask = func(ctx context.Context) error { return askShell(ctx, p.command) }
	case p.url != "":
		p.ask, err = asker(p.url)
	}
	return err
}

// once asks once.
func (p *probe) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("no answer within %v", p.timeout))
	defer cancel()
	return because(ctx, p.ask(ctx))
}

// asker returns what asks a URL.
func asker(text string) (func(ctx context.Context) error, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--check %q: %w", text, cmp.Or(errors.Unwrap(err), err))
	case u.Hostname() == "":
		return nil, fmt.Errorf("--check %q: there is no host: give http://HOST:PORT/PATH or tcp://HOST:PORT", text)
	case u.Scheme == "http" || u.Scheme == "https":
		return func(ctx context.Context) error { return askHTTP(ctx, text) }, nil
	case u.Scheme != "tcp":
		return nil, fmt.Errorf("--check %q: must begin with http://, https:// or tcp://", text)
	case u.Port() == "" || strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("--check %q: must be tcp://HOST:PORT", text)
	}
	return func(ctx context.Context) error { return askTCP(ctx, u.Host) }, nil
}

// askHTTP connects anew each time, as those do who come new, and directly: what a proxy of the environment says is not about the server.
func askHTTP(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // the status is all
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("GET %s: status %s", address, resp.Status)
	}
	return nil
}

func askTCP(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// askShell runs a command. What it says is shown only if it fails.
func askShell(ctx context.Context, command string) error {
	var said head
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second // for what it left in the background, which has its output
	c, err := start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		c.kill()
		<-c.done
		return ctx.Err()
	}
	if c.err == nil || errors.Is(c.err, exec.ErrWaitDelay) {
		return nil
	}
	err = fmt.Errorf("%s: %w", command, c.err)
	if text := strings.TrimSpace(said.String()); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	const most = 200
	_, err := h.Buffer.Write(p[:min(len(p), max(0, most-h.Len()))])
	return len(p), err
}
