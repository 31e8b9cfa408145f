package fence_test

import (
	"fmt"
	"sync"

	"etcdkit/lock/fence"
	"etcdkit/session"
)

// A document lives in a service of ours. Its writers take a lock, and send the lock's token with what they write.
type document struct {
	mu    sync.Mutex // orders the writes, and with them the tokens
	fence fence.Checker
	text  string
}

func (d *document) write(token session.Token, text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fence.Check(token); err != nil {
		return err
	}
	d.text = text
	return nil
}

func ExampleChecker() {
	var d document
	fmt.Println(d.write(17, "first draft"))
	fmt.Println(d.write(23, "by the next holder"))
	fmt.Println(d.write(17, "by the first one, who was asleep")) // refused: it was overtaken
	fmt.Println(d.text)
	// Output:
	// <nil>
	// <nil>
	// stale token 17: 23 was seen before
	// by the next holder
}
