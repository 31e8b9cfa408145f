package claim

import (
	"context"
	"errors"

	"etcdkit/internal/hub"
)

// Claim says where a key of ours stands in line, and as what.
type Claim struct {
	Prefix string // of the line's keys, ending in a slash
	Value  string // of our key; for Exclusive and Shared, leave it to the rule
	Tag    string // put behind the name of the slot
	Own    bool   // a key of its own for this call, instead of one for all callers of the session
	Gate   bool   // with Own: only one of the session's callers at a time waits in etcd, the others in memory
	Rule   Rule   // Exclusive if it is nil
}

// filled returns the claim with its defaults.
func (c Claim) filled() Claim {
	if c.Rule == nil {
		c.Rule = Exclusive
	}
	if c.Value == "" {
		c.Value = c.Rule.value()
	}
	c.Tag += c.Rule.tag()
	return c
}

// Acquire waits until the session holds the line, as far as the rule asks, or ctx ends. Callers of one session queue in memory, first come
// first served, unless each has a key of its own.
func Acquire(ctx context.Context, h *hub.Hub, c Claim) (*Held, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	c = c.filled()
	if c.Gate {
		leave, err := enterGate(ctx, h, c)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	l := openFor(h, c)
	held, err := l.acquire(ctx, c)
	if err != nil {
		l.close()
	}
	return held, err
}

// Try is Acquire without waiting: a *BusyError if the line is not free. It asks nothing of etcd when somebody of this session is in the
// way, reads when somebody else is, and writes only when the line looks free.
func Try(ctx context.Context, h *hub.Hub, c Claim) (*Held, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	c = c.filled()
	held, err := try(ctx, h, c)
	if errors.Is(err, errElsewhere) {
		c.Own, c.Tag = true, besides
		held, err = try(ctx, h, c)
	}
	return held, err
}

// besides is in the tag of keys beside that of the session's callers in the same line, whose name they must not have.
const besides = "~"

func try(ctx context.Context, h *hub.Hub, c Claim) (*Held, error) {
	l := openFor(h, c)
	held, err := l.tryAcquire(ctx, c)
	if err != nil {
		l.close()
	}
	return held, err
}
