package main

import (
	"math/big"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var numberInJSON = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$`)

// exactNumber spells a number of YAML as JSON does, digit for digit: no float64 is in between, which would round it. What JSON has no
// number for, and what versions of YAML read differently, is an error.
func exactNumber(n *yaml.Node) (string, error) {
	text := n.Value
	if !numberInJSON.MatchString(text) { // most are spelled alike
		sign := ""
		digits := strings.TrimPrefix(strings.ReplaceAll(text, "_", ""), "+")
		if rest, ok := strings.CutPrefix(digits, "-"); ok {
			sign, digits = "-", rest
		}
		if isOctal(digits) {
			plain := strings.TrimLeft(digits, "0")
			return "", badNode(n, "%s is octal in some versions of YAML and decimal in others: write %s0o%s, %s%s or %q",
				n.Value, sign, plain, sign, plain, n.Value)
		}
		text = sign + withoutBase(digits)
	}
	switch {
	case !numberInJSON.MatchString(text):
		return "", badNode(n, "JSON has no number %s", n.Value)
	case n.ShortTag() == "!!int" && strings.ContainsAny(text, ".eE"):
		return "", badNode(n, "%q is no whole number", n.Value)
	}
	return text, nil
}

// isOctal tells whether a number begins with a zero and goes on with digits alone, one of which counts.
func isOctal(digits string) bool {
	return strings.HasPrefix(digits, "0") && strings.Trim(digits, "0123456789") == "" && strings.Trim(digits, "0") != ""
}

// withoutBase spells a number without a sign in tens, without zeros in front and without a point at an end. What is no number
// does not become one.
func withoutBase(digits string) string {
	for prefix, base := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if rest, ok := strings.CutPrefix(digits, prefix); ok {
			value, ok := new(big.Int).SetString(rest, base)
			if !ok || strings.ContainsAny(rest, "+-") {
				return digits
			}
			return value.String()
		}
	}
	mantissa, exponent := digits, ""
	if at := strings.IndexAny(digits, "eE"); at >= 0 {
		mantissa, exponent = digits[:at], digits[at:]
	}
	before, after, _ := strings.Cut(mantissa, ".")
	if before == "" && after == "" {
		return digits
	}
	if before = strings.TrimLeft(before, "0"); before == "" {
		before = "0"
	}
	if after != "" {
		after = "." + after
	}
	return before + after + exponent
}
