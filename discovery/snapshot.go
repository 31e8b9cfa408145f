package discovery

import "time"

// Snapshot is a service as it stood at one revision. It is read-only: all who look share it.
type Snapshot struct {
	Instances  []Instance           // who takes requests, in the order of their IDs
	Draining   []Instance           // who is leaving and takes no new ones
	Unhealthy  []Instance           // who is registered and says that its own health check fails
	Probation  map[string]time.Time // by ID: who among Instances vanished in a mass loss and is kept until then, unless a connection to it fails
	Revision   int64                // of the store
	StaleSince time.Time            // when this was last known to be true; zero while it is
	Skipped    int                  // keys that are no instance: broken, foreign
	Err        error                // what keeps it from being fresh, while StaleSince is set; else ErrMassLoss while there is a Probation

	mods []int64 // of Instances: the revisions in which they were written
}
