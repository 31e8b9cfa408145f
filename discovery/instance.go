package discovery

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Instance is one server of a service: what it registers, and what watchers see.
type Instance struct {
	ID       string            `json:"id"`                 // names the instance within its service; Register makes one up where it is empty
	Addr     string            `json:"addr"`               // host:port of the main port
	Ports    map[string]int    `json:"ports,omitempty"`    // further ports of the same host, by name; see AddrOf
	Zone     string            `json:"zone,omitempty"`     // where it runs, for ZoneFirst
	Weight   int               `json:"weight,omitempty"`   // share of the traffic beside others, up to 1,000,000; 0 means 1
	Version  string            `json:"version,omitempty"`  // of the program
	Protocol string            `json:"protocol,omitempty"` // of the main port, such as "http", "https", "grpc"
	Labels   map[string]string `json:"labels,omitempty"`
}

const (
	maxID     = 128
	maxWeight = 1_000_000
	maxPort   = 1<<16 - 1
	maxSize   = 64 << 10 // bytes of a record: every watcher holds them all
)

// AddrOf returns host:port of a further port, by its name. It is false if the instance has none of that name.
func (i Instance) AddrOf(port string) (addr string, ok bool) {
	n, ok := i.Ports[port]
	if !ok {
		return "", false
	}
	host, _, err := net.SplitHostPort(i.Addr)
	if err != nil {
		return "", false
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), true
}

// check names the field that nobody could use.
func (i *Instance) check() error {
	if err := checkAddr(i.Addr); err != nil {
		return fmt.Errorf("addr %q: %w", clip(i.Addr), err)
	}
	if i.Weight < 0 || i.Weight > maxWeight {
		return fmt.Errorf("weight %d: must be from 0 to %d", i.Weight, maxWeight)
	}
	for name, port := range i.Ports {
		if name == "" {
			return errors.New("ports: a name is empty")
		}
		if port < 1 || port > maxPort {
			return fmt.Errorf("ports: %q: %d: must be from 1 to %d", clip(name), port, maxPort)
		}
	}
	for name := range i.Labels {
		if name == "" {
			return errors.New("labels: a name is empty")
		}
	}
	return i.checkText()
}

// checkText finds what JSON would change.
func (i *Instance) checkText() error {
	for field, text := range map[string]string{"zone": i.Zone, "version": i.Version, "protocol": i.Protocol} {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%s %q: it is not valid UTF-8", field, clip(text))
		}
	}
	for name := range i.Ports {
		if !utf8.ValidString(name) {
			return fmt.Errorf("ports: %q: it is not valid UTF-8", clip(name))
		}
	}
	for name, text := range i.Labels {
		if !utf8.ValidString(name) || !utf8.ValidString(text) {
			return fmt.Errorf("labels: %q: it is not valid UTF-8", clip(name))
		}
	}
	return nil
}

func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("must be host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > maxPort {
		return fmt.Errorf("the port must be from 1 to %d", maxPort)
	}
	switch {
	case host == "":
		return errors.New("the host is empty: others could not reach it")
	case len(host) > 255 || strings.ContainsFunc(host, isOdd):
		return errors.New("that is no host")
	}
	return nil
}

func isOdd(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\?#@"<>`, r) }

// checkID finds what cannot be an ID: it is one segment of a key, and stands in logs and on command lines.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("it is empty")
	case len(id) > maxID:
		return fmt.Errorf("%d bytes are more than %d", len(id), maxID)
	case id == "." || id == ".." || id == "@":
		return errors.New("it is reserved")
	}
	for _, r := range id {
		if r <= ' ' || r >= 0x7f || r == '/' || r == '%' {
			return fmt.Errorf("it contains %q: letters, digits and signs of ASCII but / and %% may be in it", r)
		}
	}
	return nil
}

// clip makes any text fit into an error.
func clip(s string) string {
	const shown = 64
	if len(s) <= shown {
		return s
	}
	return s[:shown] + "..."
}
