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
	h := &Held{stake: &stake{epoch: late{}}, ctx: context.Background()}
	if err := h.Err(); !errors.Is(err, errLate) {
		t.Errorf("Err past the deadline = %v", err)
	}
}

func TestNothingIsGrantedInAnEpochThatIsOver(t *testing.T) {
	t.Parallel()
	h, l := lineOf()
	h.Hooks.Acquired = func(string, int64, time.Duration) {}
	h.Hooks.Released = h.Hooks.Acquired
	f := &front{Line: l, claim: Claim{}.filled(), turn: turn{entry: &entry{key: "line/a"}}}
	if held := f.hold(t.Context(), late{}, time.Now()); held != nil {
		held.stake.timer.Stop()
		held.stake.stop()
		t.Error("granted past the deadline")
	}
	if f.entry == nil {
		t.Error("the key that stands in the line was forgotten")
	}
}
