package config

import (
	"context"
	"errors"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// TestBadOptions: what is wrong is the error of the first call, which touches nothing.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := session.New(clientv3.NewCtxClient(ctx))
	custom := func([]byte, any) error { return nil }
	watches := map[string]struct {
		name string
		opts []Option
	}{
		"WithKeep is for NewStore": {"a", []Option{WithKeep(1)}},
		"the path is empty":        {"a", []Option{WithLastGood("")}},
		"WithDecoder twice":        {"a", []Option{WithDecoder(custom), WithDecoder(custom)}},
		"the function is nil":      {"a", []Option{WithDecoder(nil)}},
		"its own business":         {"a", []Option{WithDecoder(custom), WithUnknownFields()}},
		"empty segment":            {"a//b", nil},
		"bad key":                  {"a", []Option{WithKey("a/")}},
		"bad config name":          {"..", []Option{WithKey("a")}},
	}
	for want, w := range watches {
		if _, err := Watch(ctx, s, w.name, limit{}, w.opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Watch: %v, want %q", err, want)
		}
	}
	stores := map[string]*Store{
		"a store holds bytes":           NewStore(s, "a", WithDecoder(custom)),
		"are for Watch":                 NewStore(s, "a", WithReport()),
		"keeps one version at least":    NewStore(s, "a", WithKeep(0)),
		"bad config name":               NewStore(s, ""),
		"it ends with a slash":          NewStore(s, "a", WithKey("a/")),
		"client: must not be nil":       NewStore(session.New(nil), "a"),
		"a tree is written by PutAll":   NewStore(s, "a", WithTree()),
		"there is none below zero":      NewStore(s, "neg"),
		"more than 1 MiB":               NewStore(s, "big"),
		"author or comment has 5000 by": NewStore(s, "text"),
	}
	for want, st := range stores {
		rev, value := int64(0), []byte("x")
		var opts []PutOption
		switch st.place.name {
		case "neg":
			rev = -2
		case "big":
			value = make([]byte, maxValue+1)
		case "text":
			opts = []PutOption{WithComment(strings.Repeat("x", 5000))}
		}
		if _, err := st.Put(ctx, rev, value, opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Put: %v, want %q", err, want)
		}
	}
	bad := NewStore(s, "")
	_, _, getErr := bad.Get(ctx)
	_, deleteErr := bad.Delete(ctx, 0)
	_, historyErr := bad.History(ctx)
	_, diffErr := bad.Diff(ctx, 1, 2)
	_, rollbackErr := bad.Rollback(ctx, 1)
	_, statusErr := bad.Status(ctx)
	_, listErr := List(ctx, s, "a//b")
	for _, err := range []error{getErr, deleteErr, historyErr, diffErr, rollbackErr, statusErr, listErr} {
		if !errors.Is(err, session.ErrBadName) {
			t.Errorf("a bad name: %v", err)
		}
	}
}

func TestTreeWrites(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // none of these may get as far as asking
	s := session.New(clientv3.NewCtxClient(t.Context()))
	tree := NewStore(s, "app", WithTree())
	many := map[string][]byte{}
	for i := range maxKeys + 1 {
		many[strings.Repeat("x", i+1)] = nil
	}
	tests := []struct {
		st     *Store
		values map[string][]byte
		want   string
	}{
		{tree, nil, "nothing to write"},
		{tree, many, "too large: 121 keys"},
		{tree, raw("a//b=1"), "empty segment"},
		{tree, raw("=1"), "empty segment"},
		{NewStore(s, "app", WithTree(), WithKey("/x")), raw("a//b=1"), "empty segment"},
		{NewStore(s, "app"), raw("a=1"), "WithTree makes a tree"},
	}
	for _, test := range tests {
		if _, err := test.st.PutAll(ctx, 0, test.values); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("PutAll: %v, want %q", err, test.want)
		}
	}
	if NewStore(s, "app/api").Key() != "etcdkit/config/app/api" || NewStore(s, "").Key() != "" {
		t.Error("bad keys")
	}
}

func TestPlaceRoundTrip(t *testing.T) {
	t.Parallel()
	s := session.New(clientv3.NewCtxClient(t.Context()))
	for _, opts := range [][]Option{{WithTree()}, {WithTree(), WithKey("/legacy/app")}} {
		o := newOptions(opts)
		p, err := o.place(s.Hub(), "app/@x")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"a", "a/b", "@", "ä%", "a b"} {
			key, err := p.keyOf(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := p.path(key); !ok || got != path {
				t.Errorf("path %q has key %q, whose path is %q, %v", path, key, got, ok)
			}
		}
		for _, key := range []string{p.key, p.prefix(), p.prefix() + "a//b", "other", p.key + "x/a"} {
			if path, ok := p.path(key); ok {
				t.Errorf("key %q has path %q", key, path)
			}
		}
	}
}
