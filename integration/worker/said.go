package worker

import (
	"fmt"
	"slices"

	"etcdkit/integration/history"
)

// Holding returns the hold that the worker has, or nil; of several, the one that it has had for the longest.
func (c *Child) Holding() *history.Hold {
	held := c.HoldingAll()
	if len(held) == 0 {
		return nil
	}
	return &held[0]
}

// HoldingAll returns what the callers of the worker hold.
func (c *Child) HoldingAll() []history.Hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.held)
}

// History is what the worker has held and written so far.
func (c *Child) History() ([]history.Hold, []history.Write) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]history.Hold(nil), c.holds...), append([]history.Write(nil), c.writes...)
}

// Holds is how often the worker has had its lock and let go of it.
func (c *Child) Holds() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.holds)
}

// Failed are the calls that brought an error so far.
func (c *Child) Failed() []history.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]history.Call(nil), c.calls...)
}

// lastError is for messages.
func (c *Child) lastError() string {
	calls := c.Failed()
	if len(calls) == 0 {
		return "no call of it failed"
	}
	return fmt.Sprintf("%d calls failed, the last with: %s", len(calls), calls[len(calls)-1].Error)
}

// tell adds what the worker said to a history.
func (c *Child) tell(h *history.History) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return fmt.Errorf("worker %s has ended by itself", c.Spec.Client)
	}
	h.Holds = append(h.Holds, c.holds...)
	h.Writes = append(h.Writes, c.writes...)
	h.Calls = append(h.Calls, c.calls...)
	h.Leases = append(h.Leases, c.leases...)
	h.Ends = append(h.Ends, *c.end)
	h.Disturbances = append(h.Disturbances, c.stalls...)
	return nil
}
