package integration

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

func mustRegister(t testing.TB, s *session.Session, service string, inst discovery.Instance, opts ...discovery.Option) *discovery.Registration {
	t.Helper()
	r, err := discovery.Register(soon(t), s, service, inst, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustView(t testing.TB, s *session.Session, service string, opts ...discovery.Option) *discovery.View {
	t.Helper()
	v, err := discovery.Watch(soon(t), s, service, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() }) // a test that cares closes by itself
	return v
}

// ids is who is in a list, in one text.
func ids(list []discovery.Instance) string {
	var all []string
	for _, inst := range list {
		all = append(all, inst.ID)
	}
	return strings.Join(all, " ")
}

func awaitIDs(t testing.TB, v *discovery.View, want string) *discovery.Snapshot {
	t.Helper()
	return awaitSnapshot(t, v, "the instances "+want, func(s *discovery.Snapshot) bool { return ids(s.Instances) == want })
}

// awaitSnapshot waits until the view is right.
func awaitSnapshot(t testing.TB, v *discovery.View, what string, right func(*discovery.Snapshot) bool) *discovery.Snapshot {
	t.Helper()
	for ch, err := range v.Changes(soon(t)) {
		if err != nil {
			break
		}
		if right(ch.Snapshot) {
			return ch.Snapshot
		}
	}
	t.Fatalf("it never came about: %s; the view is %+v", what, v.Snapshot())
	return nil
}

// referee sees each event of a service by a watch of its own.
type referee struct {
	t      testing.TB
	events chan *clientv3.Event
}

func newReferee(t testing.TB, client *clientv3.Client, prefix string) *referee {
	t.Helper()
	r := &referee{t, make(chan *clientv3.Event, 10_000)}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	now, err := client.Get(soon(t), prefix)
	if err != nil {
		t.Fatal(err)
	}
	// From a revision, since a member that lags would tell of what was before.
	watch := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify(), clientv3.WithRev(now.Header.Revision+1))
	<-watch
	go func() {
		for resp := range watch {
			for _, ev := range resp.Events {
				r.events <- ev
			}
		}
	}()
	return r
}

// until returns the events up to the one that is looked for.
func (r *referee) until(what string, is func(*clientv3.Event) bool) (seen []*clientv3.Event) {
	r.t.Helper()
	for end := time.After(patience); ; {
		select {
		case ev := <-r.events:
			seen = append(seen, ev)
			if is(ev) {
				return seen
			}
		case <-end:
			r.t.Fatalf("the referee never saw %s", what)
		}
	}
}

func deletedKeys(events []*clientv3.Event) (keys []string) {
	for _, ev := range events {
		if ev.Type == clientv3.EventTypeDelete {
			keys = append(keys, string(ev.Kv.Key))
		}
	}
	return keys
}

func deleted(key string) func(*clientv3.Event) bool {
	return func(ev *clientv3.Event) bool {
		return ev.Type == clientv3.EventTypeDelete && string(ev.Kv.Key) == key
	}
}

// TestDiscoveryLife of an instance: it comes, changes, drains and leaves.
func TestDiscoveryLife(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	v := mustView(t, open(t, client, prefix), "app/api")
	if len(v.Instances()) != 0 || v.Stale() != 0 || v.Snapshot().Err != nil {
		t.Errorf("at the start: %+v", v.Snapshot())
	}
	next, stop := iter.Pull2(v.Changes(soon(t)))
	defer stop()
	if ch, err, _ := next(); err != nil || ch.Added != nil {
		t.Errorf("at the start: %+v, %v", ch, err)
	}
	inst := discovery.Instance{
		Addr: "10.0.0.7:80", Ports: map[string]int{"grpc": 81}, Zone: "b", Weight: 3, Version: "1", Protocol: "http", Labels: map[string]string{"a": "1"},
	}
	s := open(t, client, prefix)
	r := mustRegister(t, s, "app/api", inst)
	if r.Instance().ID == "" || r.Err() != nil || r.Draining() {
		t.Errorf("registered %+v, %v", r.Instance(), r.Err())
	}
	ch, err, _ := next()
	if err != nil || len(ch.Added) != 1 || fmt.Sprint(ch.Added[0]) != fmt.Sprint(r.Instance()) || len(ch.Updated)+len(ch.Removed) > 0 {
		t.Fatalf("registered: %+v, %v", ch, err)
	}
	if addr, ok := v.Instances()[0].AddrOf("grpc"); addr != "10.0.0.7:81" || !ok {
		t.Errorf("the port grpc is %q", addr)
	}
	inst.Weight = 5
	if err := r.Update(soon(t), inst); err != nil {
		t.Error(err)
	}
	if ch, err, _ := next(); err != nil || len(ch.Updated) != 1 || ch.Updated[0].Weight != 5 || ch.Added != nil || ch.Removed != nil {
		t.Errorf("updated: %+v, %v", ch, err)
	}
	if err := r.Drain(soon(t)); err != nil || !r.Draining() {
		t.Error(err)
	}
	if ch, err, _ := next(); err != nil || len(ch.Removed) != 1 || len(ch.Snapshot.Draining) != 1 {
		t.Errorf("draining: %+v, %v", ch, err)
	}
	inst.Weight = 6
	if err := r.Update(soon(t), inst); err != nil {
		t.Error(err)
	}
	if ch, err, _ := next(); err != nil || len(ch.Snapshot.Instances) != 0 || len(ch.Snapshot.Draining) != 1 || ch.Snapshot.Draining[0].Weight != 6 {
		t.Errorf("an update while draining: %+v, %v", ch, err)
	}
	for range 2 {
		if err := r.Deregister(soon(t)); err != nil {
			t.Error(err)
		}
	}
	awaitSnapshot(t, v, "nobody", func(s *discovery.Snapshot) bool { return len(s.Draining) == 0 })
	if got := keys(t, client, prefix+"/discovery/"); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
	if err := r.Err(); !errors.Is(err, session.ErrReleased) {
		t.Errorf("Err = %v", err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	for {
		_, err, _ := next()
		if errors.Is(err, discovery.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiscoveryTellsLeavingFromLoss: the record says that it is leaving before it is deleted, whoever ends it.
func TestDiscoveryTellsLeavingFromLoss(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, leave := range map[string]func(*session.Session, *discovery.Registration) error{
		"deregister":      func(_ *session.Session, r *discovery.Registration) error { return r.Deregister(soon(t)) },
		"deregister late": func(_ *session.Session, r *discovery.Registration) error { return r.Deregister(over) },
		"close":           func(s *session.Session, _ *discovery.Registration) error { return s.Close(soon(t)) },
		"close late":      func(s *session.Session, _ *discovery.Registration) error { return s.Close(over) },
	} {
		t.Run(name, func(t *testing.T) {
			service := strings.ReplaceAll(name, " ", "-")
			ref := newReferee(t, client, prefix+"/discovery/"+service+"/")
			s := open(t, client, prefix)
			r := mustRegister(t, s, service, discovery.Instance{ID: "a", Addr: "a:1"})
			if err := leave(s, r); err != nil {
				t.Error(err)
			}
			seen := ref.until("the end", deleted(prefix+"/discovery/"+service+"/@/a"))
			if len(seen) != 3 || !strings.Contains(string(seen[1].Kv.Value), `"leaving"`) {
				t.Errorf("the referee saw %v", seen)
			}
			if err := r.Deregister(soon(t)); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// TestDiscoveryIDs are those of one process each.
func TestDiscoveryIDs(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, other := open(t, client, prefix), open(t, client, prefix)
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	_, err := discovery.Register(soon(t), s, "api", discovery.Instance{ID: "a", Addr: "b:1"})
	if !errors.Is(err, discovery.ErrTaken) {
		t.Errorf("a second time in one session: %v", err)
	}
	_, err = discovery.Register(soon(t), other, "api", discovery.Instance{ID: "a", Addr: "b:1"})
	var taken *discovery.TakenError
	if !errors.As(err, &taken) || taken.Addr != "a:1" || taken.Lease == 0 || errors.Is(err, session.ErrUncertain) {
		t.Errorf("from another session: %v", err)
	}
	second := mustRegister(t, other, "api", discovery.Instance{ID: "a", Addr: "b:1"}, discovery.WithTakeover())
	eventually(t, "the first one knows that it is out", func() bool { return errors.Is(r.Err(), discovery.ErrTaken) })
	if err := r.Update(soon(t), discovery.Instance{Addr: "c:1"}); !errors.Is(err, discovery.ErrTaken) {
		t.Errorf("Update = %v", err)
	}
	if err := second.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	eventually(t, "the first one is back", func() bool { return r.Err() == nil })
	v := mustView(t, s, "api")
	if got := v.Instances(); len(got) != 1 || got[0].Addr != "c:1" {
		t.Errorf("instances %+v", got)
	}
	if err := r.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
	mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "d:1"})
	awaitSnapshot(t, v, "a new one of that ID", func(s *discovery.Snapshot) bool { return len(s.Instances) == 1 && s.Instances[0].Addr == "d:1" })
}

// TestDiscoveryComesBack after whatever somebody else does to the key (F18).
func TestDiscoveryComesBack(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	key := prefix + "/discovery/api/@/a"
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	v := mustView(t, open(t, client, prefix), "api")
	good := value(t, client, key)
	lease := func() clientv3.LeaseID {
		resp, err := client.Get(soon(t), key)
		if err != nil || len(resp.Kvs) == 0 || string(resp.Kvs[0].Value) != good {
			return 0
		}
		return clientv3.LeaseID(resp.Kvs[0].Lease)
	}
	mine := lease()
	for name, harm := range map[string]func(){
		"deleted":    func() { mustDelete(t, client, key) },
		"junk":       func() { mustPut(t, client, key, "junk") },
		"by hand":    func() { mustPut(t, client, key, `{"addr":"b:1"}`) },
		"many times": func() { mustDelete(t, client, key); mustPut(t, client, key, ""); mustDelete(t, client, key) },
	} {
		harm()
		eventually(t, "the instance is back after "+name, func() bool { return lease() == mine })
	}
	if _, err := client.Revoke(soon(t), mine); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance is back after its lease was revoked", func() bool { l := lease(); return l != 0 && l != mine })
	eventually(t, "Err is nil", func() bool { return r.Err() == nil })
	awaitIDs(t, v, "a")
}

// TestDiscoveryRequestDrain: it is heard at once, and survives an update and a loss.
func TestDiscoveryRequestDrain(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s, operator := open(t, client, prefix), open(t, client, prefix)
	r := mustRegister(t, s, "api", discovery.Instance{ID: "a", Addr: "a:1"})
	mustRegister(t, s, "api", discovery.Instance{ID: "b", Addr: "b:1"})
	v := mustView(t, operator, "api")
	for range 2 {
		if err := discovery.RequestDrain(soon(t), operator, "api", "a"); err != nil {
			t.Fatal(err)
		}
	}
	awaitIDs(t, v, "b")
	eventually(t, "the instance knows", r.Draining)
	if err := r.Update(soon(t), discovery.Instance{Addr: "a:2"}); err != nil {
		t.Fatal(err)
	}
	gone, err := client.Delete(soon(t), prefix+"/discovery/api/@/a")
	if err != nil {
		t.Fatal(err)
	}
	awaitSnapshot(t, v, "the update, draining", func(s *discovery.Snapshot) bool {
		return s.Revision > gone.Header.Revision && ids(s.Instances) == "b" && len(s.Draining) == 1 && s.Draining[0].Addr == "a:2"
	})
	for _, id := range []string{"c", "", "a/b", "@"} {
		if err := discovery.RequestDrain(soon(t), operator, "api", id); !errors.Is(err, discovery.ErrUnknown) {
			t.Errorf("of %q: %v", id, err)
		}
	}
	mustRegister(t, s, "app/web", discovery.Instance{Addr: "a:1"})
	mustPut(t, client, prefix+"/discovery/app/web/@/junk", "junk")
	services, err := discovery.Services(soon(t), operator)
	want := []discovery.ServiceInfo{{Name: "api", Instances: 1, Draining: 1}, {Name: "app/web", Instances: 1, Skipped: 1}}
	if err != nil || !slices.Equal(services, want) {
		t.Errorf("services %+v, %v", services, err)
	}
	list, err := discovery.List(soon(t), operator, "api")
	if err != nil || ids(list.Instances) != "b" || ids(list.Draining) != "a" || list.Revision == 0 {
		t.Errorf("list %+v, %v", list, err)
	}
}

// TestDiscoveryHealth: who says that it is not well gets nothing, from the start on.
func TestDiscoveryHealth(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	well := make(chan error, 1)
	last := errors.New("still starting")
	check := func(context.Context) error {
		select {
		case last = <-well:
		default:
		}
		return last
	}
	r := mustRegister(t, open(t, client, prefix), "api", discovery.Instance{ID: "a", Addr: "a:1"}, discovery.WithHealth(check, 20*time.Millisecond))
	v := mustView(t, open(t, client, prefix), "api")
	if got := v.Snapshot(); len(got.Instances) != 0 || ids(got.Unhealthy) != "a" {
		t.Errorf("at the start: %+v", got)
	}
	_, done, err := v.Pick(nil)
	var nobody *discovery.NoInstanceError
	if !errors.As(err, &nobody) || nobody.Unhealthy != 1 || !strings.Contains(err.Error(), `"api": no instance (1 unhealthy`) {
		t.Errorf("Pick = %v", err)
	}
	done(nil)
	well <- nil
	awaitIDs(t, v, "a")
	well <- errors.New("ill")
	awaitIDs(t, v, "")
	well <- nil
	awaitIDs(t, v, "a")
	if err := r.Deregister(soon(t)); err != nil {
		t.Error(err)
	}
}

// TestDiscoveryRefusesBadInput at once, and names the field.
func TestDiscoveryRefusesBadInput(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	good := discovery.Instance{Addr: "a:1"}
	with := func(change func(*discovery.Instance)) discovery.Instance { i := good; change(&i); return i }
	for _, test := range []struct {
		service string
		inst    discovery.Instance
		opts    []discovery.Option
		want    string
	}{
		{"api", discovery.Instance{}, nil, "addr"},
		{"api", discovery.Instance{Addr: "10.0.0.7"}, nil, "addr"},
		{"api", discovery.Instance{Addr: ":80"}, nil, "addr"},
		{"api", discovery.Instance{Addr: "a:0"}, nil, "addr"},
		{"api", discovery.Instance{Addr: "a:65536"}, nil, "addr"},
		{"api", discovery.Instance{Addr: "a:http"}, nil, "addr"},
		{"api", discovery.Instance{Addr: "http://a:80"}, nil, "addr"},
		{"api", discovery.Instance{Addr: "a b:80"}, nil, "addr"},
		{"api", with(func(i *discovery.Instance) { i.Weight = -1 }), nil, "weight"},
		{"api", with(func(i *discovery.Instance) { i.Weight = 1_000_001 }), nil, "weight"},
		{"api", with(func(i *discovery.Instance) { i.Ports = map[string]int{"x": 70000} }), nil, "ports"},
		{"api", with(func(i *discovery.Instance) { i.Zone = "\xff" }), nil, "zone"},
		{"api", with(func(i *discovery.Instance) { i.Labels = map[string]string{"x": strings.Repeat("x", 64<<10)} }), nil, "labels"},
		{"api", with(func(i *discovery.Instance) { i.ID = "a/b" }), nil, "id"},
		{"api", with(func(i *discovery.Instance) { i.ID = strings.Repeat("x", 129) }), nil, "id"},
		{"", good, nil, "name"},
		{"a//b", good, nil, "name"},
		{"api", good, []discovery.Option{discovery.WithLastGood("x")}, "WithLastGood"},
		{"api", good, []discovery.Option{discovery.WithHealth(nil, time.Second)}, "WithHealth"},
		{"api", good, []discovery.Option{discovery.WithHealth(func(context.Context) error { return nil }, 0)}, "WithHealth"},
		{"api", good, []discovery.Option{discovery.WithEndpoints("x/")}, "WithEndpoints"},
	} {
		_, err := discovery.Register(soon(t), s, test.service, test.inst, test.opts...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q %.80v: %v, want %s", test.service, test.inst, err, test.want)
		}
	}
	r := mustRegister(t, s, "api", good)
	if err := r.Update(soon(t), discovery.Instance{Addr: "a"}); err == nil || r.Instance().Addr != "a:1" {
		t.Errorf("Update = %v", err)
	}
	if err := r.Update(soon(t), discovery.Instance{ID: "other", Addr: "a:1"}); err == nil {
		t.Error("the ID can be changed")
	}
	if _, err := discovery.Watch(soon(t), s, "api", discovery.WithTakeover()); err == nil {
		t.Error("Watch takes WithTakeover")
	}
	if err := s.Close(soon(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := discovery.Register(soon(t), s, "api", good); !errors.Is(err, session.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := discovery.Watch(soon(t), s, "api"); !errors.Is(err, session.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
