package koanfkit

import (
	"context"
	"testing"
	"time"

	"github.com/knadh/koanf/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/etcdtest"
	"etcdkit/session"
)

var (
	_ koanf.Provider = (*Layer)(nil)
	// What koanf's own providers have for those who watch.
	_ interface {
		Watch(cb func(event any, err error)) error
		Unwatch() error
	} = (*Layer)(nil)
)

// patience is far more than anything takes on a busy machine.
const patience = 30 * time.Second

// keyOf is where the value "app/api" stands.
const keyOf = "etcdkit/config/app/api"

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// open returns a session on an etcd of its own.
func open(t *testing.T) (*clientv3.Client, *session.Session) {
	t.Helper()
	client := etcdtest.New(t)
	return client, sessionOf(t, client)
}

func sessionOf(t *testing.T, client *clientv3.Client) *session.Session {
	t.Helper()
	s := session.New(client)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func mustProvide(t *testing.T, s *session.Session, opts ...config.Option) *Layer {
	t.Helper()
	l, err := Provider(soon(t), s, "app/api", opts...)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() }) // a test that cares closes by itself
	return l
}

func mustPut(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	_, err := client.Put(soon(t), key, value)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load makes a Koanf of layers, the last of which counts.
func load(t *testing.T, layers ...koanf.Provider) *koanf.Koanf {
	t.Helper()
	k := koanf.New(".")
	for _, layer := range layers {
		must(t, k.Load(layer, nil))
	}
	return k
}

// call is one of a callback.
type call struct {
	event any
	err   error
}

// calls takes what a callback gets.
type calls chan call

func (c calls) take(event any, err error) { c <- call{event, err} }

// next waits for a call.
func (c calls) next(t *testing.T) call {
	t.Helper()
	select {
	case got := <-c:
		return got
	case <-time.After(patience):
		t.Fatal("no call came")
		panic("unreachable")
	}
}

// change waits for a call that tells one.
func (c calls) change(t *testing.T) *config.Change[map[string]any] {
	t.Helper()
	got := c.next(t)
	ch, ok := got.event.(*config.Change[map[string]any])
	if !ok || got.err != nil {
		t.Fatalf("called with %v and %v, want a change", got.event, got.err)
	}
	return ch
}

func mustWatch(t *testing.T, l *Layer) calls {
	t.Helper()
	c := make(calls, 16)
	must(t, l.Watch(c.take))
	return c
}
