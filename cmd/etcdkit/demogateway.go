package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"etcdkit/discovery"
	"etcdkit/session"
)

const (
	demoLook   = 1500 * time.Millisecond // how long to watch what has changed
	demoOutage = 2 * demoTTL
	demoSoon   = 15 * time.Second // for what takes a part of that on a machine that is not overrun
	demoNew    = "dan"
	demoVictim = "bob"
)

// playGateway is the act of the gateway.
func playGateway(ctx context.Context, s *stage, etcd *demoEtcd) error {
	servers, err := startCrew(etcd.endpoint(), serveWorker, "ada", "bob", "cyd")
	if err != nil {
		return err
	}
	defer servers.kill()
	s.introduce("Three servers", servers)
	gateway, addr, err := startHelper(ctx, "the gateway is ready on ",
		"gateway", "--endpoints", etcd.endpoint(), "--listen", "127.0.0.1:0", "--route", "/="+demoService, "--log-to", "stdout", "--no-access-log")
	if err != nil {
		return err
	}
	defer gateway.kill()
	s.sayf("The gateway has started (%d): http://%s\n", gateway.cmd.Process.Pid, addr)
	a := &gatewayAct{stage: s, etcd: etcd, servers: servers, gateway: gateway, addr: addr}
	if err := a.await(ctx, servers, len(servers.workers)); err != nil {
		return err
	}
	return a.open(ctx)
}

// gatewayAct tells what happens to requests, and checks it.
type gatewayAct struct {
	*stage
	etcd    *demoEtcd
	servers *crew
	gateway *helper
	addr    string

	view  *discovery.View
	load  *load
	shown time.Time // when the load was told last

	mu   sync.Mutex // protects left
	left []string   // who has left the list
}

// open watches the list and starts the load, and plays.
func (a *gatewayAct) open(ctx context.Context) (err error) {
	cfg := session.ClientConfig(a.etcd.endpoint())
	cfg.Logger = zap.NewNop()
	client, err := clientv3.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	s := session.New(client)
	defer giveBack(s)
	soon, cancel := context.WithTimeout(ctx, demoSoon)
	defer cancel()
	if a.view, err = discovery.Watch(soon, s, demoService); err != nil {
		return err
	}
	defer func() { _ = a.view.Close() }() // there is no file that could be behind
	defer a.takeNote()()
	a.sayf("%d clients ask it again and again, and count who answers.\n\n", demoClients)
	if a.load, err = startLoad(soon, "http://"+a.addr); err != nil {
		return because(ctx, err)
	}
	a.shown = time.Now()
	defer a.load.stop()
	return a.play(ctx)
}

// play is the story.
func (a *gatewayAct) play(ctx context.Context) error {
	if err := a.during(ctx, demoLook); err != nil {
		return err
	}
	added, joined, err := a.add(ctx)
	if err != nil {
		return err
	}
	defer added.kill()
	forgotten, err := a.kill(ctx)
	if err != nil {
		return err
	}
	if err := a.outage(ctx); err != nil {
		return err
	}
	a.load.stop()
	n, err := a.load.requests()
	if err != nil {
		return err
	}
	if err := a.finish(ctx, added); err != nil {
		return err
	}
	a.sayf(`
A new server cost nobody an edited list: it got requests %.1f s after it was started. A dead one cost no request, and the list
forgot it after %.1f s; etcd was down for %.1f s, and nobody noticed. Of %d requests 0 failed.
`, joined.Seconds(), forgotten.Seconds(), demoOutage.Seconds(), n)
	return nil
}

// add starts a server, and tells after which time it got a request.
func (a *gatewayAct) add(ctx context.Context) (*crew, time.Duration, error) {
	began := time.Now()
	added, err := startCrew(a.etcd.endpoint(), serveWorker, demoNew)
	if err != nil {
		return nil, 0, err
	}
	a.linef(demoNew, "is started (%d)", added.workers[0].cmd.Process.Pid)
	err = a.await(ctx, added, 1)
	if err == nil {
		err = a.until(ctx, "for "+demoNew+" to answer", func() bool { return a.load.of(demoNew) > 0 })
	}
	took := time.Since(began)
	if err == nil {
		a.linef(demoNew, "answers its first request, %.2f s after its start; nobody told the gateway", took.Seconds())
		err = a.during(ctx, demoLook)
	}
	if err != nil {
		added.kill()
		return nil, 0, err
	}
	return added, took, nil
}

// kill kills a server, and tells after which time the list forgot it.
func (a *gatewayAct) kill(ctx context.Context) (time.Duration, error) {
	before, err := a.load.retries(ctx)
	if err != nil {
		return 0, err
	}
	crash := time.Now()
	a.servers.strike(demoVictim)
	a.linef(demoVictim, "is killed under load (kill -9), and cannot deregister any more")
	if err := a.during(ctx, demoLook/5); err != nil { // answers from before can be on their way
		return 0, err
	}
	last := a.load.of(demoVictim)
	err = a.until(ctx, "for the list to forget "+demoVictim, func() bool {
		return !slices.ContainsFunc(a.view.Instances(), func(i discovery.Instance) bool { return i.ID == demoVictim })
	})
	if err != nil {
		return 0, err
	}
	took := time.Since(crash)
	again, err := a.load.retries(ctx)
	if err != nil {
		return 0, err
	}
	if n := a.load.of(demoVictim); n != last {
		return 0, fmt.Errorf("%s has answered %d requests after its end", demoVictim, n-last)
	}
	a.linef("", "The list has forgotten %s %.1f s after the crash (%v is promised). Until then, the gateway sent %d requests on to others.",
		demoVictim, took.Seconds(), demoBound, again-before)
	return took, a.during(ctx, demoLook)
}

// outage kills etcd and starts it again.
func (a *gatewayAct) outage(ctx context.Context) error {
	a.etcd.kill()
	a.linef("etcd", "is killed, and stays away for twice the TTL of the servers' leases")
	if err := a.during(ctx, demoOutage); err != nil {
		return err
	}
	if a.view.Stale() == 0 {
		return errors.New("the list is not marked as stale while etcd is away")
	}
	if err := a.etcd.start(ctx); err != nil {
		return err
	}
	back := time.Now()
	a.linef("etcd", "is back")
	if err := a.until(ctx, "for the list to be fresh", func() bool { return a.view.Stale() == 0 }); err != nil {
		return err
	}
	a.linef("", "The list is fresh again, %.1f s after that.", time.Since(back).Seconds())
	if err := a.during(ctx, demoTTL+demoLook); err != nil { // what was lost with a lease would be seen by then
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.left, []string{demoVictim}) {
		return fmt.Errorf("%s have left the list, not only %s", strings.Join(a.left, ", "), demoVictim)
	}
	a.linef("", "All servers have kept their places in the list.")
	return nil
}

// finish ends all in order: first those who ask.
func (a *gatewayAct) finish(ctx context.Context, added *crew) error {
	a.gateway.terminate()
	a.gateway.wait()
	if err := a.gateway.status(); err != nil {
		return fmt.Errorf("the gateway has ended with %w", err)
	}
	for _, c := range []*crew{a.servers, added} {
		if err := c.finish(ctx); err != nil {
			return err
		}
	}
	return nil
}
