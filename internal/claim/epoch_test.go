package claim

import (
	"context"
	"errors"
	"testing"
	"time"
)

// late is an epoch whose clocks are past its deadline, though no timer has ended its context yet.
type late struct{ epoch }

var errLate = errors.New("late")

func (late) Err() error { return errLate }

func TestErrAsksTheEpoch(t *testing.T) {
	t.Parallel()
	h := &Held{epoch: late{}, ctx: context.Background()}
	if err := h.Err(); !errors.Is(err, errLate) {
		t.Errorf("Err past the deadline = %v", err)
	}
}

func TestNothingIsGrantedInAnEpochThatIsOver(t *testing.T) {
	t.Parallel()
	h, l := newLine()
	h.Hooks.Acquired = func(string, int64, time.Duration) {}
	h.Hooks.Released = h.Hooks.Acquired
	left := turn{entry: &entry{key: "line/a"}}
	if held := l.hold(t.Context(), late{}, &left, time.Now()); held != nil {
		held.end(nil)
		t.Error("granted past the deadline")
	}
	if left.entry == nil {
		t.Error("the key that stands in the line was forgotten")
	}
}
