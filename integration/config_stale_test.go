package integration

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"etcdkit/config"
	"etcdkit/integration/cluster"
	"etcdkit/integration/proxy"
	"etcdkit/session"
)

// watchReads counts what reads bring.
type watchReads struct {
	clientv3.KV
	reads, values atomic.Int64
}

func (w *watchReads) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, err := w.KV.Get(ctx, key, opts...)
	if err == nil {
		w.reads.Add(1)
		for _, kv := range resp.Kvs {
			if len(kv.Value) > 0 {
				w.values.Add(1)
			}
		}
	}
	return resp, err
}

// TestConfigChangesTellOfDoubt: that etcd is out of reach, and that it is there again, comes by itself, for a key and for a tree.
func TestConfigChangesTellOfDoubt(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "etcdkit")
	mustPut(t, c.Admin(), "etcdkit/config/app", `{"level":"one"}`)
	mustPut(t, c.Admin(), "etcdkit/config/app/level", "tree")
	one, tree := mustWatch(t, s, "app", byDefault), mustWatch(t, s, "app", byDefault, config.WithTree())
	for _, v := range []*config.Value[settings]{one, tree} { // each has a mirror of its own
		awaitStale(t, v, false)
		at := stepsOf(t, v)
		first := at.next()
		if !first.StaleSince.IsZero() {
			t.Errorf("at the start: %+v", first)
		}
		before := time.Now()
		c.Cut()
		ch := at.next()
		if ch.StaleSince.IsZero() || ch.StaleSince.After(time.Now()) || ch.Fields != nil || ch.New.Level != first.New.Level || ch.Revision != first.Revision {
			t.Errorf("cut off at %v: %+v", before, ch)
		}
		if snap := v.Snapshot(); snap.Stale == 0 || snap.Err != nil {
			t.Errorf("cut off: %+v", snap)
		}
		c.Heal()
		if ch := at.until(func(ch *config.Change[settings]) bool { return ch.StaleSince.IsZero() }); ch.Fields != nil || ch.New.Level != first.New.Level {
			t.Errorf("healed: %+v", ch)
		}
	}
}

// TestConfigHeals: with session.ClientConfig a value is fresh within two seconds after an outage, with what was written meanwhile, whether the
// server was gone, the network, or the connection half-open. A machine that is busy gets three tries.
func TestConfigHeals(t *testing.T) {
	if testing.Short() {
		t.Skip("its outages last")
	}
	t.Parallel()
	const (
		tries  = 3
		outage = 8 * time.Second // gRPC's own backoff is far beyond two seconds by then
		most   = 2 * time.Second
	)
	c := cluster.New(t, 1)
	host := strings.TrimPrefix(c.Endpoints()[0], "http://")
	kinds := map[string]struct{ begin, end func(p *proxy.Proxy) }{
		"no server":  {(*proxy.Proxy).Shut, func(p *proxy.Proxy) { p.Open(host) }},
		"no network": {func(p *proxy.Proxy) { p.Cut() }, (*proxy.Proxy).Heal},
		"half-open":  {(*proxy.Proxy).Blackhole, func(p *proxy.Proxy) { p.Unblackhole() }},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := proxy.New()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			p.Open(host)
			cfg := session.ClientConfig(p.URL())
			cfg.Logger = zap.NewNop()
			client, err := clientv3.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			key := strings.ReplaceAll(name, " ", "")
			v := mustWatch(t, open(t, client, "etcdkit"), key, 0)
			awaitStale(t, v, false)
			var took time.Duration
			for i := 1; i <= tries; i++ {
				kind.begin(p)
				begun := time.Now()
				awaitStale(t, v, true)
				time.Sleep(time.Until(begun.Add(outage))) // what is tested depends on how long it lasts
				mustPut(t, c.Admin(), "etcdkit/config/"+key, fmt.Sprint(i))
				healed := time.Now()
				kind.end(p)
				at := stepsOf(t, v)
				at.until(func(ch *config.Change[int]) bool { return ch.New == i && ch.StaleSince.IsZero() })
				if took = time.Since(healed); took <= most {
					t.Logf("fresh after %v", took)
					return
				}
			}
			t.Errorf("it took %v at best to be fresh again, the last time", took)
		})
	}
}

// TestStatusOfTwoValues of one name in one session: each reports for itself, and leaves the other's report alone.
func TestStatusOfTwoValues(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	st := config.NewStore(s, "app")
	lax := mustWatch(t, s, "app", []byte(nil), config.WithReport())
	mustWatch(t, s, "app", byDefault, config.WithReport())
	rev := mustStore(t, st, 0, `{"timeout":"2h"}`)
	var list []config.Instance
	eventually(t, "two reports, one of them of a refusal", func() bool {
		var err error
		if list, err = st.Status(soon(t)); err != nil {
			t.Fatal(err)
		}
		return len(list) == 2 && (list[0].Refused == "") != (list[1].Refused == "") && max(list[0].Revision, list[1].Revision) == rev
	})
	if list[0].ID == list[1].ID || list[0].Lease != list[1].Lease || list[0].PID != list[1].PID {
		t.Errorf("%+v", list)
	}
	if err := lax.Close(); err != nil {
		t.Error(err)
	}
	if list, err := st.Status(soon(t)); err != nil || len(list) != 1 || list[0].RefusedRevision != rev {
		t.Errorf("after the other's Close: %+v, %v", list, err)
	}
}

// TestReportThatComesLate: a report whose answer was lost does not come back after Close.
func TestReportThatComesLate(t *testing.T) {
	t.Parallel()
	client, faults := interceptedClient(t)
	prefix := cluster.Prefix(t)
	s := open(t, client, prefix)
	late := faults.SendLate(puts(prefix + "/configstatus/"))
	v := mustWatch(t, s, "app", 0, config.WithReport())
	late.Await()
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	_ = late.Release() // it is refused, or has come before Close
	if left := keys(t, cluster.Shared(t), prefix+"/configstatus/"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
