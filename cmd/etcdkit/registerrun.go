package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"etcdkit/discovery"
	"etcdkit/session"
)

func (r *register) run(name string, argv []string) error {
	var k *task // stays nil without COMMAND
	if len(argv) > 0 {
		var err error
		if k, err = newTask(r.program, r.cmd, argv, 0); err != nil {
			return err
		}
	}
	signals := listen(slices.Concat(enders, messages)...)
	defer signal.Stop(signals)
	ctx, stop := untilSignal(r.cmd.Context())
	defer stop()
	client, err := r.conn.open(ctx)
	if err != nil {
		return because(ctx, err)
	}
	defer func() { _ = client.Close() }()
	s := session.New(client, session.WithPrefix(r.prefix), session.WithTTL(r.ttl))
	defer giveBack(s)
	var state *verdict
	if k != nil || r.probe.ask != nil {
		state = &verdict{ill: errNotStarted, tell: r.tellHealth}
	}
	reg, err := r.register(ctx, s, name, state)
	if err != nil {
		return err
	}
	tellTTL(ctx, r.program, r.cmd, s, r.ttl)
	if ctx.Err() != nil {
		return r.leave(reg, context.Cause(ctx)) // COMMAND does not run any more
	}
	d := &duty{register: r, name: name, reg: reg, state: state, signals: signals}
	return r.leave(reg, d.serve(k))
}

// register is the first that is asked of etcd, and bounded: COMMAND does not run before it is answered.
func (r *register) register(ctx context.Context, s *session.Session, name string, state *verdict) (*discovery.Registration, error) {
	bounded, cancel := r.conn.request(ctx)
	defer cancel()
	reg, err := discovery.Register(bounded, s, name, r.instance, r.options(state)...)
	return reg, because(bounded, err)
}

func (r *register) tellHealth(ill error) {
	if ill == nil {
		notef(r.cmd, "healthy: service %q: it gets requests", r.cmd.Flags().Arg(0))
		return
	}
	notef(r.cmd, "unhealthy: service %q: it gets no requests: %s", r.cmd.Flags().Arg(0), r.errorLine(ill))
}

// leave takes the instance out. err is how the command ended, which is the result.
func (r *register) leave(reg *discovery.Registration, err error) error {
	ctx, cancel := r.conn.request(context.Background())
	defer cancel()
	if failed := reg.Deregister(ctx); failed != nil {
		notef(r.cmd, "%s; the list forgets it when the TTL has run out", r.errorLine(failed))
	}
	return err
}

// duty is the time in which an instance is registered.
type duty struct {
	*register
	name    string
	reg     *discovery.Registration
	state   *verdict // nil if it is always healthy
	signals <-chan os.Signal

	drained bool      // it was told that somebody has it drain
	doubt   time.Time // since when it is not certain that it is registered; zero if it is
	told    bool      // and that was told
}

// serve runs the command, if there is one, until that ends, else until a signal comes. It returns how the command ended.
func (d *duty) serve(k *task) error {
	if k == nil {
		notef(d.cmd, "service %q: %s is registered as %s; Ctrl-C deregisters it", d.name, d.instance.Addr, d.reg.Instance().ID)
		defer d.check()()
		return d.wait(nil)
	}
	c, err := k.begin([]string{"ETCDKIT_SERVICE=" + d.name, "ETCDKIT_INSTANCE=" + d.reg.Instance().ID, "ETCDKIT_ADDR=" + d.instance.Addr})
	if err != nil {
		return err
	}
	defer d.check()()
	return d.wait(c)
}

// check keeps the verdict until the returned function is called.
func (d *duty) check() (stop func()) {
	if d.state == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var checking sync.WaitGroup
	checking.Go(func() { d.state.keep(ctx, &d.probe) })
	return func() {
		cancel()
		checking.Wait()
	}
}

// askedEvery is how often to look whether an operator has asked the instance to drain, which no event tells.
const askedEvery = 200 * time.Millisecond

// wait returns when the command has ended. c is nil if there is none.
func (d *duty) wait(c *child) error {
	var ended <-chan struct{}
	if c != nil {
		ended = c.done
	}
	var draining <-chan struct{}
	var asked os.Signal // the first that asked to end
	tick := time.NewTicker(askedEvery)
	defer tick.Stop()
	for {
		select {
		case sig := <-d.signals:
			switch {
			case c == nil && !slices.Contains(enders, sig):
			case c == nil:
				return nil // which is how it is meant to end
			case asked == nil && asksToEnd(sig):
				asked = sig
				done, stop := d.drain()
				defer stop()
				draining = done
			default:
				c.pass(sig)
			}
		case <-draining:
			draining = nil
			c.pass(asked)
		case <-tick.C:
			d.look()
		case <-ended:
			return c.status()
		}
	}
}

// drain has the instance drain, and closes done when all who want to know have noticed. stop calls it off.
func (d *duty) drain() (done chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done = make(chan struct{})
	d.drained = true
	notef(d.cmd, "draining: service %q", d.name)
	go func() {
		defer close(done)
		bounded, cancel := context.WithTimeout(ctx, drainPatience)
		defer cancel()
		if err := d.reg.Drain(bounded); err != nil {
			if ctx.Err() == nil {
				notef(d.cmd, "%s", d.errorLine(err))
			}
			return // nobody is told, and there is nothing to wait for
		}
		select {
		case <-time.After(d.drainTime):
		case <-ctx.Done():
		}
	}()
	return done, func() {
		cancel()
		<-done
	}
}

// drainPatience is how long etcd may take to answer: who wants the server to end does not want to wait for etcd.
const drainPatience = 2 * time.Second

// look tells what has happened to the registration.
func (d *duty) look() {
	if !d.drained && d.reg.Draining() {
		d.drained = true
		notef(d.cmd, "draining: service %q: somebody has asked for it, and there are no new requests from now on", d.name)
	}
	err := d.reg.Err()
	switch {
	case err == nil && d.told:
		notef(d.cmd, "registered again: service %q", d.name)
		fallthrough
	case err == nil:
		d.doubt, d.told = time.Time{}, false
	case d.doubt.IsZero():
		d.doubt = time.Now()
	case !d.told && time.Since(d.doubt) >= staleFrom:
		d.told = true
		notef(d.cmd, "%s", fmt.Sprintf("not certain to be registered: %s; going on", d.errorLine(err)))
	}
}
