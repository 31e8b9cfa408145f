package claim

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// ending is a context that ends when over is closed. Whoever asks why lets meanwhile happen first.
type ending struct {
	context.Context
	over      chan struct{}
	meanwhile func()
}

func (c ending) Done() <-chan struct{} { return c.over }

func (c ending) Err() error {
	select {
	case <-c.over:
		c.meanwhile()
		return context.Canceled
	default:
		return nil
	}
}

// The caller has seen the end of its context, and before it can leave the queue it is given the turn: the next one must get that.
func TestTheTurnComesToACallerWhoIsLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, l := lineOf()
		if _, err := l.enter(t.Context(), Claim{}.filled(), nil, nil); err != nil {
			t.Fatal(err)
		}
		ctx := ending{t.Context(), make(chan struct{}), func() { l.pass(turn{}) }}
		left := make(chan error, 1)
		go func() { _, err := l.enter(ctx, Claim{}.filled(), nil, nil); left <- err }()
		synctest.Wait()
		second := in(t, l, 1)[0]
		close(ctx.over)
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("enter = %v", err)
		}
		synctest.Wait()
		select {
		case <-second:
		default:
			t.Error("the turn was lost")
			l.pass(turn{})
			<-second
		}
	})
}
