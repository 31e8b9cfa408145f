package koanfkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knadh/koanf/parsers/json"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"etcdkit/config"
	"etcdkit/session"
)

// fixed is the layer of the defaults.
type fixed map[string]any

func (f fixed) Read() (map[string]any, error) { return maps.Clone(f), nil }
func (f fixed) ReadBytes() ([]byte, error)    { return nil, errors.New("not for a parser") }

// The layers of a program: what stands in etcd is over its file, the environment over that, and what etcd does not tell shows through.
func TestLayers(t *testing.T) {
	t.Parallel()
	for _, form := range []struct {
		name string
		put  map[string]string
		opts []config.Option
	}{
		{"key", map[string]string{keyOf: `{"c":"etcd","d":"etcd","http":{"port":3,"host":"etcd"}}`}, nil},
		{"tree", map[string]string{keyOf + "/c": "etcd", keyOf + "/d": `"etcd"`, keyOf + "/http/port": "3", keyOf + "/http/host": "etcd"}, []config.Option{config.WithTree()}},
	} {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			client, s := open(t)
			for key, value := range form.put {
				mustPut(t, client, key, value)
			}
			layer := mustProvide(t, s, form.opts...)
			path := filepath.Join(t.TempDir(), "app.json")
			must(t, os.WriteFile(path, []byte(`{"b":"file","c":"file","d":"file","http":{"port":2,"idle":"file"}}`), 0o600))
			k := load(t, fixed{"a": "default", "b": "default", "c": "default", "d": "default", "http": map[string]any{"port": 1}})
			must(t, k.Load(file.Provider(path), json.Parser()))
			must(t, k.Load(layer, nil))
			must(t, k.Load(env.Provider(".", env.Opt{
				Prefix:        "APP_",
				EnvironFunc:   func() []string { return []string{"APP_D=env", "APP_HTTP_HOST=env"} },
				TransformFunc: func(k, v string) (string, any) { return lower(k), v },
			}), nil))
			got := fmt.Sprint(k.String("a"), k.String("b"), k.String("c"), k.String("d"), k.Int("http.port"), k.String("http.host"), k.String("http.idle"))
			if want := fmt.Sprint("default", "file", "etcd", "env", 3, "env", "file"); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			parsed := koanf.New(".")
			must(t, parsed.Load(layer, json.Parser()))
			if parsed.String("d") != "etcd" || parsed.Int("http.port") != 3 {
				t.Errorf("with a parser: %v", parsed.Raw())
			}
		})
	}
}

// lower makes APP_HTTP_PORT http.port.
func lower(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "APP_")), "_", ".")
}

// koanf writes into what a provider gave it, and later layers into that.
func TestReadIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `{"http":{"port":1},"list":[{"a":1}]}`)
	layer := mustProvide(t, s)
	load(t, layer, fixed{"http": map[string]any{"port": 2}})
	m, err := layer.Read()
	must(t, err)
	m["list"].([]any)[0].(map[string]any)["a"] = 2
	if k := load(t, layer); k.Int("http.port") != 1 || fmt.Sprint(k.Get("list")) != "[map[a:1]]" {
		t.Errorf("what koanf and the test wrote is in the layer: %v", k.Raw())
	}
}

// Another format is read with its decoder, and the layer's bytes are JSON all the same.
func TestDecoder(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, "level=debug\n")
	lines := func(data []byte, v any) error {
		m := map[any]any{} // as some YAML libraries make them
		for line := range bytes.Lines(data) {
			name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
			if !ok {
				return errors.New("no equals sign")
			}
			m[name] = value
		}
		(*v.(*map[string]any))["log"] = m
		return nil
	}
	layer := mustProvide(t, s, config.WithDecoder(lines))
	data, err := layer.ReadBytes()
	if k := load(t, layer); k.String("log.level") != "debug" || string(data) != `{"log":{"level":"debug"}}` || err != nil {
		t.Errorf("read %v and %s (%v)", k.Raw(), data, err)
	}
}

func TestAbsentIsEmpty(t *testing.T) {
	t.Parallel()
	_, s := open(t)
	layer := mustProvide(t, s)
	m, err := layer.Read()
	data, errBytes := layer.ReadBytes()
	if len(m) != 0 || m == nil || string(data) != "{}" || err != nil || errBytes != nil {
		t.Errorf("read %v and %s (%v, %v)", m, data, err, errBytes)
	}
}

// What cannot be opened says why, and within ctx.
func TestProviderFails(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `[1]`)
	if _, err := Provider(soon(t), s, "app/api"); !errors.Is(err, config.ErrRefused) {
		t.Errorf("a list: %v", err)
	}
	if _, err := Provider(soon(t), s, "app//api"); !errors.Is(err, session.ErrBadName) {
		t.Errorf("a bad name: %v", err)
	}
	p := newPipe(t, client)
	p.cut()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Provider(ctx, sessionOf(t, p.client(t)), "app/api"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no etcd: %v", err)
	}
}

// Without etcd a layer starts from its last good file, and says that it is stale.
func TestLastGood(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `{"level":"debug"}`)
	lastGood := config.WithLastGood(filepath.Join(t.TempDir(), "last"))
	must(t, mustProvide(t, s, lastGood).Close())

	p := newPipe(t, client)
	p.cut()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	layer, err := Provider(ctx, sessionOf(t, p.client(t)), "app/api", lastGood)
	must(t, err)
	defer func() { _ = layer.Close() }()
	if k := load(t, layer); k.String("level") != "debug" || layer.Stale() == 0 {
		t.Errorf("read %v, stale for %v", k.Raw(), layer.Stale())
	}
	got := mustWatch(t, layer)
	if c := got.next(t); !errors.Is(c.err, ErrStale) || c.event != nil {
		t.Errorf("called with %v and %v, want ErrStale", c.event, c.err)
	}
	p.mend()
	mustPut(t, client, keyOf, `{"level":"warn"}`)
	for load(t, layer).String("level") != "warn" {
		if ch := got.change(t); ch.Refused != nil {
			t.Fatalf("refused: %v", ch.Refused)
		}
	}
}
