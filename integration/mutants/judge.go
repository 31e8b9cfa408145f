package main

import (
	"regexp"
	"strings"
	"time"
)

// A verdict is what became of a mutant.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	hung     verdict = "HUNG"             // past the time that its test has
	broken   verdict = "does not compile" // so nobody knows
	moved    verdict = "text not found"
	void     verdict = "VOID" // no test failed, and yet it is not well: the machine, or an interrupt
)

// A finding is what one run of a test came to, and the words that tell.
type finding struct {
	verdict verdict
	words   string
	took    time.Duration
}

// complaint is the line with which a test says what is wrong.
var complaint = regexp.MustCompile(`(?m)^\s+(\w+\.go:\d+: .*)$`)

// outbreak is how the Go runtime ends a program.
var outbreak = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*)$`)

// judge reads what a test binary printed, with -v, and err, with which it ended. It believes in a failure only if a test failed, and in a
// success only if the test ran.
func judge(test, out string, err error) finding {
	passed, failed := strings.Contains(out, "--- PASS: "+test+" ("), strings.Contains(out, "--- FAIL: "+test+" (")
	crash := outbreak.FindString(out)
	words := crash
	if line := complaint.FindStringSubmatch(out); line != nil {
		words = line[1]
	}
	switch {
	case strings.HasPrefix(crash, "panic: test timed out"):
		return finding{verdict: hung, words: words}
	case err != nil && failed, err != nil && crash != "":
		return finding{verdict: killed, words: words}
	case err == nil && passed:
		return finding{verdict: survived}
	case err == nil:
		return finding{verdict: void, words: test + " did not run to its end: no such test, or it was skipped"}
	}
	return finding{verdict: void, words: err.Error() + ": " + lastLine(out)}
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}
