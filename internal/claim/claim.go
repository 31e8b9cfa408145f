package claim

import (
	"context"

	"etcdkit/internal/hub"
)

// Claim says where a key of ours stands in line, and as what.
type Claim struct {
	Prefix string // of the line's keys, ending in a slash
	Value  string // of our key; for Exclusive and Shared, leave it to the rule
	Tag    string // put behind the name of the slot
	Own    bool   // a key of its own for this call, instead of one for all callers of the session
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
	return c
}

// Acquire waits until the session holds the line, as far as the rule asks, or ctx ends. Callers of one session queue in memory, first come
// first served, unless each has a key of its own.
func Acquire(ctx context.Context, h *hub.Hub, c Claim) (*Held, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	c = c.filled()
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
	l := openFor(h, c)
	held, err := l.tryAcquire(ctx, c)
	if err != nil {
		l.close()
	}
	return held, err
}
