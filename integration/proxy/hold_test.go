package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A reply on a stream is held, with what follows it there; all else goes on.
func TestHoldStreamReply(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s, other := b.talk(t, b.ctx), b.talk(t, b.ctx)
	s.say(t, "1")
	s.hear(t, "1")
	h := b.HoldStreamReply(1)
	b.say(t, "a unary call does not count")
	s.say(t, "2", "3")
	b.await(t, h)
	for i := range 100 {
		b.say(t, fmt.Sprint(i%10, " goes on"))
		other.say(t, fmt.Sprint(i))
		other.hear(t, fmt.Sprint(i))
	}
	s.say(t, "4")
	b.say(t, "one more")
	s.silent(t)
	release(t, h)
	s.hear(t, "2", "3", "4")
	s.say(t, "5")
	s.hear(t, "5")
	for _, s := range []*talk{s, other} {
		if err := s.CloseSend(); err != nil {
			t.Error(err)
		}
		if text, ok := <-s.heard; ok {
			t.Errorf("heard %q at the end", text)
		}
	}
	b.sound(t)
}

// A unary reply is held with its trailers, which other trailers overtake.
func TestHoldReplyOfACall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.HoldReply(3)
	b.say(t, "1")
	b.say(t, "2")
	said := b.async(b.ctx, "3")
	b.await(t, h)
	for i := range 100 {
		b.say(t, fmt.Sprint(i%10, " goes on"))
	}
	select {
	case err := <-said:
		t.Fatalf("the call returned %v", err)
	default:
	}
	release(t, h)
	if err := <-said; err != nil {
		t.Error(err)
	}
	if h.Release() {
		t.Error("released twice")
	}
	b.sound(t)
}

// One that two hold goes on when both let go.
func TestHoldTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.talk(t, b.ctx)
	one, other := b.HoldReply(1), b.HoldReply(1)
	s.say(t, "1", "2")
	b.await(t, one)
	b.await(t, other)
	release(t, one)
	b.say(t, "round trip")
	s.silent(t)
	release(t, other)
	s.hear(t, "1", "2")
}

// A reply that waits behind another one counts when its turn has come.
func TestHoldsInTurn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.talk(t, b.ctx)
	first, second := b.HoldStreamReply(1), b.HoldStreamReply(2)
	s.say(t, "1", "2", "3")
	b.await(t, first)
	b.say(t, "round trip")
	s.silent(t)
	release(t, first)
	s.hear(t, "1")
	b.await(t, second)
	b.say(t, "round trip")
	s.silent(t)
	release(t, second)
	s.hear(t, "2", "3")
}

// What did not happen is told, and does not happen later.
func TestHoldThatDidNotHappen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.HoldReply(3)
	b.say(t, "1")
	b.say(t, "2")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := h.Wait(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "reply 3 was to be held, and 2 came") {
		t.Errorf("Wait = %v", err)
	}
	if h.Release() {
		t.Error("something was released")
	}
	b.say(t, "3")
}

// Whoever gives up a call that is held gets nothing of it, and harms nobody.
func TestHeldCallIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.HoldReply(1)
	ctx, cancel := context.WithCancel(b.ctx)
	said := b.async(ctx, "1")
	b.await(t, h)
	cancel()
	if err := <-said; status.Code(err) != codes.Canceled {
		t.Errorf("the call returned %v", err)
	}
	b.say(t, "2")
	release(t, h)
	b.say(t, "3")
	b.sound(t)
}

// The same of streams, held or not, of which the server will not say that they end.
func TestHeldStreamIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(b.ctx)
	free, s := b.talk(t, ctx), b.talk(t, ctx)
	free.say(t, "0")
	free.hear(t, "0")
	h := b.HoldReply(1)
	s.say(t, "1")
	b.await(t, h)
	cancel()
	for _, s := range []*talk{free, s} {
		if text, ok := <-s.heard; ok {
			t.Errorf("heard %q", text)
		}
	}
	b.say(t, "2")
	release(t, h)
	b.sound(t)
}

// A reply in several frames is held as a whole.
func TestHoldLargeReply(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.HoldReply(1)
	said := b.async(b.ctx, strings.Repeat("large ", 7000))
	b.await(t, h)
	for i := range 20 {
		b.say(t, fmt.Sprint(i))
	}
	release(t, h)
	if err := <-said; err != nil {
		t.Error(err)
	}
	b.say(t, strings.Repeat("larger than a window ", 100000))
	b.sound(t)
}

// A connection that closes takes with it what is held on it.
func TestConnectionOfHeldReplyCloses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.HoldReply(1)
	said := b.async(b.ctx, "1")
	b.await(t, h)
	b.Cut()
	if err := <-said; status.Code(err) != codes.Unavailable {
		t.Errorf("the call returned %v", err)
	}
	if h.Release() {
		t.Error("something was released, on a connection that is gone")
	}
	b.Heal()
	b.say(t, "2")
	h = b.HoldReply(1)
	said = b.async(b.ctx, "3")
	b.await(t, h)
	b.Shut() // and the proxy closes with a reply held
	if err := <-said; err == nil {
		t.Error("the call was answered")
	}
}

// What is released while answers are swallowed is swallowed.
func TestHoldAndSwallow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.talk(t, b.ctx)
	h := b.HoldReply(1)
	s.say(t, "1")
	b.await(t, h)
	b.Swallow(Answers)
	release(t, h)
	b.eventually(t, "the loss of what was released", func() bool { return b.swallowed.Load() > 0 })
	if n := b.Unblackhole(); n == 0 {
		t.Error("nothing was swallowed")
	}
	if text, ok := <-s.heard; ok {
		t.Errorf("heard %q, which was swallowed", text)
	}
	b.say(t, "2")
}

// What is delayed counts when it is due, and stays in order.
func TestHoldAndDelay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.talk(t, b.ctx)
	const delay = 50 * time.Millisecond
	b.Delay(Answers, delay)
	h := b.HoldStreamReply(2)
	s.say(t, "1", "2", "3")
	s.hear(t, "1")
	b.await(t, h)
	from := time.Now()
	b.say(t, "slow")
	if took := time.Since(from); took < delay {
		t.Errorf("an answer took %v, with a delay of %v", took, delay)
	}
	s.silent(t)
	release(t, h)
	s.say(t, "4")
	s.hear(t, "2", "3", "4")
	b.Delay(Answers, 0)
	b.say(t, "quick")
}
