package keyspace

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789ABCDEF"

// escape writes a name so that it can stand in a key. It is injective: "%" itself is escaped, so an escape can be told from text.
func escape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		if mustEscape(name, i, r, size) {
			for _, c := range []byte(name[i : i+size]) {
				b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&0xf]})
			}
		} else {
			b.WriteString(name[i : i+size])
		}
		i += size
	}
	return b.String()
}

// mustEscape tells whether the rune at i, size bytes long, cannot stand in a key as it is.
func mustEscape(name string, i int, r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size == 1: // invalid; the replacement character itself is three bytes long and stays
		return true
	case r == '%' || unicode.IsControl(r): // control characters could move the cursor of whoever lists keys
		return true
	}
	return r == '@' && (i == 0 || name[i-1] == '/')
}

// unescape is the inverse of escape. It is false for a text that escape would not have written.
func unescape(escaped string) (name string, ok bool) {
	raw := make([]byte, 0, len(escaped))
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		if c == '%' {
			if i+2 >= len(escaped) {
				return "", false
			}
			high, low := strings.IndexByte(hexDigits, escaped[i+1]), strings.IndexByte(hexDigits, escaped[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		raw = append(raw, c)
	}
	name = string(raw)
	// Writing it again is the whole check: it finds what was escaped without need ("%41"), and what should have been.
	return name, escape(name) == escaped
}
