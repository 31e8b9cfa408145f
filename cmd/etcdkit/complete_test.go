package main

import (
	"testing"
	"time"
)

func TestCompletionOfNames(t *testing.T) {
	t.Parallel()
	args := func(more ...string) []string {
		return append([]string{"__complete", "lock", "--prefix", "complete"}, more...)
	}
	holder := launch(t, nil, append([]string{"lock", "--prefix", "complete", "app/one"}, untilLine...)...)
	holder.await("started")
	for _, sub := range []string{"owners", "break", "run"} {
		for begun, want := range map[string]string{"": "app/one\n:4\n", "app/": "app/one\n:4\n", "b": ":4\n"} {
			if stdout, _, status := etcdkit(t, args(sub, begun)...); status != 0 || stdout != want {
				t.Errorf("%s %q: status %d, %q", sub, begun, status, stdout)
			}
		}
	}
	began := time.Now()
	stdout, _, status := etcdkit(t, args("owners", "--endpoints", newMute(t), "")...)
	if took := time.Since(began); status != 0 || stdout != ":4\n" || took > completionTime+slack {
		t.Errorf("without an answer: status %d, %q, after %v", status, stdout, took)
	}
}
