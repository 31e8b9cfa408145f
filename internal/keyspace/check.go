package keyspace

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrBadName says that a name, a prefix or a key cannot be used. The error that wraps it tells which, and why.
var ErrBadName = errors.New("bad name")

// maxBytes bounds what a caller may give as a name, a prefix or a key. etcd itself has no bound below that of a request, but every
// index entry, watch event and log line carries the whole key.
const maxBytes = 512

// badNameError quotes what it refuses.
type badNameError struct {
	what, value, why string
}

// Error reads like: bad lock name "a//b": it has an empty segment.
func (e *badNameError) Error() string {
	return fmt.Sprintf("bad %s %s: %s", e.what, quote(e.value), e.why)
}

// Unwrap lets errors.Is find ErrBadName, whose text would say it twice.
func (e *badNameError) Unwrap() error { return ErrBadName }

// quote makes any text fit into a line of a log.
func quote(s string) string {
	const shown = 64
	if len(s) <= shown {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:shown]) + "..."
}

// CheckKey tells whether a key that a user gave can be the beginning of a line. Whatever it is made of is his business, but a slash at
// its end would be doubled, and so stand for another line than etcd's Mutex makes of it.
func CheckKey(key string) error {
	why := textFault(key)
	if why == "" && strings.HasSuffix(key, "/") {
		why = "it ends with a slash"
	}
	if why == "" {
		return nil
	}
	return &badNameError{what: "key", value: key, why: why}
}

// The faults below are "" where there is none.

// textFault finds what no name, prefix or key may have.
func textFault(s string) string {
	switch {
	case s == "":
		return "it is empty"
	case len(s) > maxBytes:
		return fmt.Sprintf("%d bytes are more than %d", len(s), maxBytes)
	case strings.IndexByte(s, 0) >= 0:
		return "it contains a NUL byte"
	}
	return ""
}

func prefixFault(prefix string) string {
	if why := textFault(prefix); why != "" {
		return why
	}
	if !utf8.ValidString(prefix) {
		return "it is not valid UTF-8"
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(prefix, "/"), "/") {
		if segment == "" {
			return "it has an empty segment"
		}
	}
	return ""
}

func nameFault(name string) string {
	if why := textFault(name); why != "" {
		return why
	}
	for segment := range strings.SplitSeq(name, "/") {
		switch segment {
		case "":
			return "it has an empty segment"
		case ".", "..":
			return "it has the segment " + strconv.Quote(segment) // it looks like a path that leads elsewhere, which it does not
		}
	}
	return ""
}
