package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape spells out what is not printable, and leaves the rest as it is: line breaks and the commands of terminals, also those that hide
// text or write it backwards, in what others chose.
func escape(text string) string {
	var b strings.Builder
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if bad := r == utf8.RuneError && size == 1; bad || !strconv.IsPrint(r) {
			quoted := strconv.Quote(rest[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return b.String()
}

// quoteUnprintable is the text itself if all of it is printable, else a string literal of Go.
func quoteUnprintable(text string) string {
	if escape(text) == text {
		return text
	}
	return strconv.Quote(text)
}
