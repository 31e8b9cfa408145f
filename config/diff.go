package config

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// around is how many equal lines are shown before and after what differs.
const around = 3

// maxTable bounds the table of the longest common subsequence: two texts of 2,000 lines. Beyond it all lines between the first and
// the last difference are shown as replaced.
const maxTable = 4 << 20

// Diff tells how one value becomes another, line by line: "-" before what goes, "+" before what comes, and some lines around. It is empty
// if they are the same. JSON is shown with a field in each line. Nil is absence.
func Diff(a, b []byte) string {
	if same(a, b) {
		return ""
	}
	x, y := lines(pretty(a)), lines(pretty(b))
	if slices.Equal(x, y) { // they differ in how they are laid out alone
		x, y = lines(a), lines(b)
	}
	if text := show(align(x, y)); text != "" {
		return text
	}
	return "no line differs, and yet the bytes do\n"
}

// pretty lays JSON out. Whatever else stays as it is.
func pretty(value []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, value, "", "  ") != nil {
		return value
	}
	return out.Bytes()
}

func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// line is one of a diff: its mark is ' ', '-' or '+'.
type line struct {
	mark byte
	text string
}

// align puts two texts beside each other.
func align(a, b []string) []line {
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	all := marked(' ', a[:head])
	all = append(all, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	return append(all, marked(' ', a[len(a)-tail:])...)
}

func marked(mark byte, texts []string) (all []line) {
	for _, text := range texts {
		all = append(all, line{mark, text})
	}
	return all
}

// middle aligns by the longest common subsequence: common[i][j] is its length in a[i:] and b[j:].
func middle(a, b []string) (all []line) {
	if len(a)*len(b) > maxTable {
		return append(marked('-', a), marked('+', b)...)
	}
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			all = append(all, line{' ', a[i]})
			i, j = i+1, j+1
		case common[i+1][j] >= common[i][j+1]:
			all = append(all, line{'-', a[i]})
			i++
		default:
			all = append(all, line{'+', b[j]})
			j++
		}
	}
	all = append(all, marked('-', a[i:])...)
	return append(all, marked('+', b[j:])...)
}

// show writes what differs and what is around it, with "..." for what is left out.
func show(all []line) string {
	shown := make([]bool, len(all))
	for i, l := range all {
		if l.mark == ' ' {
			continue
		}
		for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
			shown[j] = true
		}
	}
	var out strings.Builder
	skipped := false
	if !slices.Contains(shown, true) {
		return ""
	}
	for i, l := range all {
		if !shown[i] {
			skipped = true
			continue
		}
		if skipped {
			out.WriteString("...\n")
		}
		skipped = false
		out.WriteString(string(l.mark) + l.text + "\n")
	}
	if skipped {
		out.WriteString("...\n")
	}
	return out.String()
}
