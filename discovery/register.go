package discovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Registration is an instance that is registered, and stays so, whatever happens to etcd or to the lease, until Deregister or the end
// of the session. It is safe for concurrent use.
type Registration struct {
	hub     *hub.Hub
	service string
	id      string
	key     string
	beside  string // the key of etcd's own record; "" if there is none
	opts    options

	cancel context.CancelCauseFunc // ends the goroutines
	group  sync.WaitGroup          // of the goroutines
	wake   chan struct{}           // holds a token when there is something to look at
	undo   func()                  // of OnClose
	vacate func()                  // gives the ID back within this process
	left   chan struct{}           // closed when the first Deregister has done its work

	// For the goroutine that keeps the key, and after its end for who lets go of it.
	patience retry.Patience
	had      bool               // the key was ours at least once
	leases   []clientv3.LeaseID // that it was put under, or may have been; never that of somebody else
	past     []clientv3.LeaseID // that it was under before; the last ones
	stood    stood

	mu       sync.Mutex // protects what follows
	inst     Instance
	drain    bool
	ill      error // why it is not healthy
	version  int64 // grows with each change of these
	acked    int64 // the version that is known to stand in etcd
	tried    int64 // the version that why is about
	why      error // why it is not known to stand in etcd
	epoch    hub.Epoch
	sight    sight
	aside    sight              // of etcd's own record
	asked    []clientv3.LeaseID // under which a record was seen that asks to drain
	distrust bool               // what is known of the key may not be so
	ended    bool
	changed  chan struct{}
}

// Register registers an instance of a service, and keeps it registered under the session's lease: with the same ID after a loss, and without
// a watcher seeing it leave if the lease outlives an outage. It returns when etcd has it. An instance that could not be used is an error
// at once, which names the field; so is an ID that somebody else is registered with (*TakenError), a full store, or a missing permission.
// Else it is tried until ctx ends; session.ErrUncertain then says that it may have happened, and it is taken back in the background. To try again with
// that ID in this session waits for that, as long as ctx lives.
func Register(ctx context.Context, s *session.Session, service string, inst Instance, opts ...Option) (*Registration, error) {
	r, err := newRegistration(s.Hub(), service, inst, newOptions(opts))
	if err != nil {
		return nil, wrap(service, err)
	}
	if err := r.start(ctx); err != nil {
		return nil, wrap(service, fmt.Errorf("register %q: %w", r.id, err))
	}
	return r, nil
}

func newRegistration(h *hub.Hub, service string, inst Instance, o options) (*Registration, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	if err := o.checkRegister(); err != nil {
		return nil, err
	}
	if inst.ID == "" {
		inst.ID = strings.ToLower(rand.Text()[:16])
	}
	if err := checkID(inst.ID); err != nil {
		return nil, fmt.Errorf("id %q: %w", clip(inst.ID), err)
	}
	src, err := newSource(h, service, nil)
	if err != nil {
		return nil, err
	}
	r := &Registration{
		hub: h, service: service, id: inst.ID, key: src.prefix + inst.ID, opts: o,
		wake: make(chan struct{}, 1), left: make(chan struct{}), changed: make(chan struct{}),
	}
	if o.endpoints != nil {
		r.beside = *o.endpoints + "/" + inst.ID
	}
	return r, r.set(inst)
}

// set makes an instance what shall stand in etcd.
func (r *Registration) set(inst Instance) error {
	inst.ID = r.id
	if err := inst.check(); err != nil {
		return err
	}
	worst := record{Format: 1, Instance: inst, State: unhealthy, TTL: 1 << 40}
	if _, err := worst.encode(); err != nil {
		return err
	}
	r.change(func() { r.inst = clone(inst) })
	return nil
}

// change changes what shall stand in etcd.
func (r *Registration) change(f func()) {
	r.mu.Lock()
	f()
	r.version++
	r.mu.Unlock()
	r.rouse()
}

func (r *Registration) rouse() {
	select {
	case r.wake <- struct{}{}:
	default: // it has a token already
	}
}

// start registers, and returns once that has happened.
func (r *Registration) start(ctx context.Context) error {
	if err := r.occupy(ctx); err != nil {
		return err
	}
	if r.opts.health != nil {
		r.ill = r.examine(ctx)
	}
	keeping, cancel := context.WithCancelCause(r.hub.Context())
	r.cancel = cancel
	r.group.Add(1) // until this is over, nobody else may work on the key, nor may bye find that there is nothing to wait for
	r.undo = r.hub.OnClose(r.bye)
	err := r.begin(ctx, keeping)
	r.group.Done()
	if err != nil {
		return r.abandon(err)
	}
	return nil
}

// begin makes the key, and starts what keeps it until keeping ends.
func (r *Registration) begin(ctx, keeping context.Context) error {
	if err := r.tryOnce(ctx); isFinal(err) {
		return err
	}
	if !r.spawn(keeping, r.keep) {
		return session.ErrClosed
	}
	if err := r.await(ctx, 1); err != nil {
		return err
	}
	r.spawn(keeping, func(ctx context.Context) { r.look(ctx, r.key, &r.sight) })
	if r.beside != "" {
		r.spawn(keeping, func(ctx context.Context) { r.look(ctx, r.beside, &r.aside) })
	}
	if r.opts.health != nil {
		r.hub.Go(func(context.Context) { r.attend(keeping) }) // Deregister does not wait for a check of the user
	}
	return nil
}

// tryOnce registers in the caller's goroutine, to save the time of a hand-over: mostly that is all that there is to do.
func (r *Registration) tryOnce(ctx context.Context) error {
	epoch, err := r.hub.Epoch(ctx)
	if err == nil {
		err = r.bring(ctx, epoch)
	}
	r.note(1, err)
	return err
}

// spawn runs a goroutine for which both the session and the registration wait.
func (r *Registration) spawn(ctx context.Context, run func(ctx context.Context)) bool {
	r.group.Add(1)
	ok := r.hub.Go(func(context.Context) { defer r.group.Done(); run(ctx) })
	if !ok {
		r.group.Done()
	}
	return ok
}

// Instance returns what is registered, as it was last given, with its ID.
func (r *Registration) Instance() Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return clone(r.inst)
}

// Draining tells whether the instance is leaving, by Drain or because an operator asked for it (RequestDrain): a program that gets no more requests
// may end.
func (r *Registration) Draining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drain || r.ended
}

// Err is nil while the instance is known to stand in etcd as it should, else it says why that is not known: a *session.LostError while the lease is
// lost, a *TakenError if somebody else has taken the ID over, what etcd refused. The registration goes on trying. After its end it is
// session.ErrReleased or session.ErrClosed. It asks nobody, so it suits probes.
func (r *Registration) Err() error {
	r.mu.Lock()
	why, epoch := r.why, r.epoch
	r.mu.Unlock()
	if why == nil && epoch != nil {
		why = epoch.Err() // it reads the clocks
	}
	return wrap(r.service, why)
}

// Update replaces what is registered; the ID stays, and so does a drain. It returns when etcd has it. If ctx ends before, or etcd refuses it, what
// is to stand there is the new instance all the same, and the registration goes on trying.
func (r *Registration) Update(ctx context.Context, inst Instance) error {
	if inst.ID != "" && inst.ID != r.id {
		return wrap(r.service, fmt.Errorf("update %q: id %q: it cannot change", r.id, clip(inst.ID)))
	}
	if err := r.set(inst); err != nil {
		return wrap(r.service, fmt.Errorf("update %q: %w", r.id, err))
	}
	return r.settled(ctx, "update")
}

// Drain tells watchers that the instance is leaving, so that it gets no new requests; those that it has it can finish, and then Deregister. It returns
// when etcd has it, and the watchers know a moment later. If ctx is over already it goes on for a second (session.WithGrace).
func (r *Registration) Drain(ctx context.Context) error {
	r.change(func() { r.drain = true })
	ctx, cancel := r.hub.ReleaseContext(ctx, r.deadline())
	defer cancel()
	return r.settled(ctx, "drain")
}

// settled waits until what is wanted now stands in etcd.
func (r *Registration) settled(ctx context.Context, what string) error {
	r.mu.Lock()
	version := r.version
	r.mu.Unlock()
	if err := r.await(ctx, version); err != nil {
		return wrap(r.service, fmt.Errorf("%s %q: %w", what, r.id, err))
	}
	return nil
}

// await waits until a version stands in etcd. It returns at once what waiting will not mend.
func (r *Registration) await(ctx context.Context, version int64) error {
	for {
		r.mu.Lock()
		acked, tried, why, ended, changed := r.acked, r.tried, r.why, r.ended, r.changed
		r.mu.Unlock()
		switch {
		case acked >= version:
			return nil
		case ended:
			return why
		case tried >= version && isFinal(why):
			return why
		case ctx.Err() != nil:
			return tooLate(ctx, why)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// tooLate is the error of who could wait no longer, and of what was in the way.
func tooLate(ctx context.Context, why error) error {
	err := retry.BothEnds(ctx, context.Cause(ctx))
	if why == nil || errors.Is(err, why) {
		return err
	}
	return fmt.Errorf("%w (last: %w)", err, why)
}

// clone copies the maps, which the caller may go on changing.
func clone(i Instance) Instance {
	i.Ports, i.Labels = maps.Clone(i.Ports), maps.Clone(i.Labels)
	return i
}
