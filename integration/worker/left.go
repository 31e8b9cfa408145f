package worker

import (
	"runtime"
	"strings"
	"time"
)

// kit tells the functions of the kit in a stack from all others.
var kit = []string{"etcdkit/session.", "etcdkit/lock.", "etcdkit/election.", "etcdkit/internal/"}

// left counts the goroutines of the kit, and returns their stacks. Those that are about to end have a few seconds for it.
func left() (int, string) {
	for last := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the end of a goroutine is no event
		n, text := scan()
		if n == 0 || time.Now().After(last) {
			return n, text
		}
	}
}

func scan() (n int, text string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		for _, function := range kit {
			if strings.Contains(stack, function) {
				n++
				text += stack + "\n\n"
				break
			}
		}
	}
	return n, text
}
