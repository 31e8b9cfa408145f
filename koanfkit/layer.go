package koanfkit

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"etcdkit/config"
	"etcdkit/session"
)

// Layer is a koanf.Provider of a value in etcd. It is safe for concurrent use.
type Layer struct {
	name  string
	value *config.Value[map[string]any]

	mu     sync.Mutex // protects what follows
	read   reading    // what was read last
	watch  *watch     // nil while nobody watches
	closed bool
}

// Provider reads the value of that name once, and follows it from then on. It takes the options of config.Watch, and fails where that does:
// if etcd cannot be asked before ctx ends, or what stands there cannot be used, and there is no last good value.
func Provider(ctx context.Context, s *session.Session, name string, opts ...config.Option) (*Layer, error) {
	v, err := config.Watch(ctx, s, name, map[string]any{}, opts...)
	if err != nil {
		return nil, err
	}
	return &Layer{name: name, value: v, read: v.Snapshot()}, nil
}

// Checked returns a decoder that refuses what one of the checks refuses, and else does what decode does: json.Unmarshal, yaml.Unmarshal or
// the like. It is for config.WithDecoder. A check gets what decode gets, of a tree its document; config.Check makes one from the type
// of the settings, which with another format than JSON needs its decoder too:
//
//	config.WithDecoder(koanfkit.Checked(json.Unmarshal, config.Check(Settings{})))
//	config.WithDecoder(koanfkit.Checked(yaml.Unmarshal, config.Check(Settings{}, config.WithDecoder(yaml.Unmarshal))))
//
// A check is asked each time that the value changes, by the goroutine that follows it: it must not wait.
func Checked(decode func(data []byte, v any) error, checks ...func(data []byte) error) func(data []byte, v any) error {
	return func(data []byte, v any) error {
		for _, check := range checks {
			if err := check(data); err != nil {
				return err
			}
		}
		return decode(data, v)
	}
}

// Read returns what stands in etcd, or what was last good there.
func (l *Layer) Read() (map[string]any, error) { return clone(l.take()), nil }

// ReadBytes returns the same as one JSON object, for a parser: the keys of a tree are its fields, "http/port" that of the object "http". It
// fails only where a decoder made something that JSON has no words for.
func (l *Layer) ReadBytes() ([]byte, error) { return json.Marshal(clone(l.take())) }

func (l *Layer) take() map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.value.Snapshot()
	l.read = now
	return now.Value
}

// Stale returns zero while the layer is in step with etcd, as far as is known, else for how long that is not proven.
func (l *Layer) Stale() time.Duration { return l.value.Stale() }

// Close ends the watching and the following. Read goes on returning what it did. The error is that of a last good file that could not be
// written.
func (l *Layer) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.Unwatch() // never fails
	return l.value.Close()
}

// clone returns a copy of what decoders make of JSON and the like: koanf writes into what it is given.
func clone(m map[string]any) map[string]any { return cloned(m).(map[string]any) }

func cloned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for key, entry := range v {
			c[key] = cloned(entry)
		}
		return c
	case map[any]any: // of YAML; koanf and JSON want text for keys
		c := make(map[string]any, len(v))
		for key, entry := range v {
			c[fmt.Sprint(key)] = cloned(entry)
		}
		return c
	case []map[string]any: // of TOML
		c := make([]any, len(v))
		for i, element := range v {
			c[i] = cloned(element)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, element := range v {
			c[i] = cloned(element)
		}
		return c
	}
	return v
}
