package integration

import (
	"errors"
	"testing"

	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// All of a session that follow one prefix share one mirror; it ends with the last of them, and with the session.
func TestSessionsShareMirrors(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	put(t, client, prefix+"/a", "1")
	s := open(t, client, prefix)
	h := s.Hub()

	first, release := h.Mirror(prefix + "/")
	second, releaseSecond := h.Mirror(prefix + "/")
	other, releaseOther := h.Mirror(prefix + "/other/")
	if first != second || first == other {
		t.Errorf("mirrors %p %p of one prefix, %p of another", first, second, other)
	}
	snapshot, err := first.Snapshot(soon(t))
	if err != nil || snapshot.Len() != 1 {
		t.Errorf("snapshot %v, %v", snapshot, err)
	}
	release()
	if err := second.Ready(soon(t)); err != nil {
		t.Errorf("one user left, and the other has %v", err)
	}
	releaseSecond()
	eventually(t, "the end of an unused mirror", func() bool { return second.Ready(soon(t)) != nil })
	third, releaseThird := h.Mirror(prefix + "/")
	if third == first {
		t.Error("a mirror that ended was handed out again")
	}
	if err := third.Ready(soon(t)); err != nil {
		t.Error(err)
	}
	if err := s.Close(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := third.Ready(soon(t)); !errors.Is(err, session.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	releaseThird()
	releaseOther()
}
