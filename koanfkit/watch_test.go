package koanfkit

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"etcdkit/config"
	"etcdkit/session"
)

// A change is told, and loading again has it.
func TestWatch(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `{"level":"info","old":1}`)
	layer := mustProvide(t, s)
	k := load(t, layer)
	got := mustWatch(t, layer)
	mustPut(t, client, keyOf, `{"level":"debug"}`)
	if ch := got.change(t); len(ch.Fields) != 2 || ch.Old["level"] != "info" || ch.New["level"] != "debug" {
		t.Errorf("told %+v", ch)
	}
	must(t, k.Load(layer, nil))
	if k.String("level") != "debug" || !k.Exists("old") {
		t.Errorf("loaded into the old Koanf: %v", k.Raw())
	}
	if k := load(t, layer); k.String("level") != "debug" || k.Exists("old") {
		t.Errorf("loaded into a new Koanf: %v", k.Raw())
	}
	_, err := client.Delete(soon(t), keyOf)
	must(t, err)
	if ch := got.change(t); !ch.Deleted || load(t, layer).String("level") != "debug" {
		t.Errorf("deleted: told %+v, read %v", ch, load(t, layer).Raw())
	}
}

// A change that comes between Load and Watch is told; what was read is not.
func TestWatchTellsWhatWasNotRead(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `{"n":1}`)
	layer := mustProvide(t, s)
	seen := make(calls, 16)
	mustPut(t, client, keyOf, `{"n":2}`)
	for ch, err := range layer.value.Changes(soon(t)) { // the layer knows it, and nobody has read it
		must(t, err)
		if ch.New["n"] == 2.0 {
			break
		}
	}
	must(t, layer.Watch(seen.take))
	if ch := seen.change(t); ch.New["n"] != 2.0 {
		t.Errorf("told %+v", ch)
	}
	must(t, layer.Unwatch())
	if n := load(t, layer).Int("n"); n != 2 {
		t.Fatalf("read %d", n)
	}
	must(t, layer.Watch(seen.take))
	mustPut(t, client, keyOf, `{"n":3}`)
	if ch := seen.change(t); ch.New["n"] != 3.0 {
		t.Errorf("told %+v, want what was not read alone", ch)
	}
}

type settings struct {
	Timeout time.Duration `json:"timeout"`
}

func (s settings) Validate() error {
	if s.Timeout <= 0 {
		return errors.New("timeout: must be more than zero")
	}
	return nil
}

// A bad edit is an error of the callback, and the last good value stays.
func TestRefused(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `{"timeout":"5s"}`)
	layer := mustProvide(t, s, config.WithDecoder(Checked(json.Unmarshal, config.Check(settings{}))))
	got := mustWatch(t, layer)
	for _, bad := range []string{`{"timeout":"-1s"}`, `{"timeout":5}`, `{"timeouts":"5s"}`, `{"timeout":"5s"`, `[]`, `null`, ``} {
		mustPut(t, client, keyOf, bad)
		c := got.next(t)
		var refused *config.RefusedError
		if c.event != nil || !errors.As(c.err, &refused) || !strings.Contains(c.err.Error(), `"app/api"`) {
			t.Errorf("%q: called with %v and %v", bad, c.event, c.err)
		}
		if d := load(t, layer).Duration("timeout"); d != 5*time.Second {
			t.Errorf("%q: read %v", bad, d)
		}
	}
	must(t, layer.Unwatch())
	again := mustWatch(t, layer)
	if c := again.next(t); !errors.Is(c.err, config.ErrRefused) {
		t.Errorf("watched again, called with %v and %v", c.event, c.err)
	}
	mustPut(t, client, keyOf, `{"timeout":"6s"}`)
	if ch := again.change(t); ch.New["timeout"] != "6s" {
		t.Errorf("told %+v", ch)
	}
}

// A callback that is slow gets what came meanwhile at once, the refusal too.
func TestSlowCallback(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	layer, goOn, got := mustProvide(t, s), make(chan struct{}), make(calls, 16)
	must(t, layer.Watch(func(event any, err error) {
		got.take(event, err)
		<-goOn
	}))
	mustPut(t, client, keyOf, `{"n":1}`)
	got.change(t)
	mustPut(t, client, keyOf, `{"n":2}`) // is on its way to the callback soon; the rest becomes one change
	for ch, err := range layer.value.Changes(soon(t)) {
		must(t, err)
		if ch.Refused != nil {
			break
		}
		switch ch.New["n"] { // each is written when the last one was read, or it would not be seen at all
		case 2.0:
			mustPut(t, client, keyOf, `{"n":3}`)
		case 3.0:
			mustPut(t, client, keyOf, `bad`)
		}
	}
	close(goOn)
	var last float64
	for {
		c := got.next(t)
		if c.err != nil {
			if !errors.Is(c.err, config.ErrRefused) {
				t.Errorf("called with %v", c.err)
			}
			break
		}
		last = c.event.(*config.Change[map[string]any]).New["n"].(float64)
	}
	if last != 3 {
		t.Errorf("told up to %v before the refusal, want 3", last)
	}
}

// Unwatch and Close wait for a callback under way, and there is none after them.
func TestUnwatchWaits(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Layer) error{"Unwatch": (*Layer).Unwatch, "Close": (*Layer).Close} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, s := open(t)
			layer := mustProvide(t, s)
			inside, goOn := make(chan struct{}, 16), make(chan struct{})
			must(t, layer.Watch(func(any, error) { inside <- struct{}{}; <-goOn }))
			mustPut(t, client, keyOf, `{"n":1}`)
			<-inside
			done := make(chan error, 1)
			go func() { done <- end(layer) }()
			mustPut(t, client, keyOf, `{"n":2}`)
			select {
			case err := <-done:
				t.Errorf("%s returned %v with a callback under way", name, err)
				done <- err
			default:
			}
			close(goOn)
			must(t, <-done)
			if len(inside) > 0 {
				t.Errorf("called after %s", name)
			}
		})
	}
}

func TestWatchStates(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, `{"n":1}`)
	layer := mustProvide(t, s)
	must(t, layer.Unwatch())
	got := mustWatch(t, layer)
	if err := layer.Watch(got.take); !errors.Is(err, ErrWatched) {
		t.Errorf("a second callback: %v", err)
	}
	must(t, errors.Join(layer.Unwatch(), layer.Unwatch(), layer.Close(), layer.Close()))
	if err := layer.Watch(got.take); !errors.Is(err, config.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if k := load(t, layer); k.Int("n") != 1 || layer.Stale() == 0 || len(got) > 0 {
		t.Errorf("after Close: read %v, stale for %v, %d calls", k.Raw(), layer.Stale(), len(got))
	}
}

// What ends the following is the last call.
func TestSessionCloses(t *testing.T) {
	t.Parallel()
	client, _ := open(t)
	s := session.New(client)
	layer := mustProvide(t, s)
	got := mustWatch(t, layer)
	must(t, s.Close(context.Background()))
	if c := got.next(t); !errors.Is(c.err, session.ErrClosed) || c.event != nil {
		t.Errorf("called with %v and %v", c.event, c.err)
	}
	// A callback that comes later is told the same, and nobody has to unwatch before.
	again := make(calls, 1)
	for err := layer.Watch(again.take); err != nil; err = layer.Watch(again.take) {
		if !errors.Is(err, ErrWatched) { // the last call is returning
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if c := again.next(t); !errors.Is(c.err, session.ErrClosed) {
		t.Errorf("watched again, called with %v and %v", c.event, c.err)
	}
	must(t, layer.Close())
}

// An outage is an error of the callback, once; then the layer catches up.
func TestStale(t *testing.T) {
	t.Parallel()
	client, _ := open(t)
	p := newPipe(t, client)
	layer := mustProvide(t, sessionOf(t, p.client(t)))
	got := mustWatch(t, layer)
	mustPut(t, client, keyOf, `{"n":0}`)
	got.change(t)
	p.cut()
	if c := got.next(t); !errors.Is(c.err, ErrStale) || c.event != nil || layer.Stale() == 0 {
		t.Errorf("called with %v and %v, want ErrStale", c.event, c.err)
	}
	mustPut(t, client, keyOf, `{"n":1}`)
	p.mend()
	if ch := got.change(t); ch.New["n"] != 1.0 || load(t, layer).Int("n") != 1 {
		t.Errorf("told %+v", ch)
	}
}

// A reset that comes between Load and Watch is told, also where the layer started from its last good file.
func TestWatchTellsOfAReset(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	opts := []config.Option{config.WithLastGood(filepath.Join(t.TempDir(), "last")), config.WithDeleteResets()}
	mustPut(t, client, keyOf, `{"n":1}`)
	must(t, mustProvide(t, s, opts...).Close()) // the file is written by then
	_, err := client.Delete(soon(t), keyOf)
	must(t, err)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	layer, err := Provider(over, s, "app/api", opts...)
	must(t, err)
	t.Cleanup(func() { _ = layer.Close() })
	if n := load(t, layer).Int("n"); n != 1 {
		t.Fatalf("void: it did not start from the file, but with %d", n)
	}
	for ch, err := range layer.value.Changes(soon(t)) {
		must(t, err)
		if ch.Deleted {
			break
		}
	}
	if ch := mustWatch(t, layer).change(t); !ch.Deleted || len(ch.New) != 0 {
		t.Errorf("told %+v", ch)
	}
}

// What was read is not told again, and anything else is: another value of that revision too.
func TestIsUnread(t *testing.T) {
	t.Parallel()
	layer := &Layer{value: config.Fixed(map[string]any{})}
	read := reading{Value: map[string]any{"n": 1}, Revision: 5}
	for want, changes := range map[bool][]*change{
		false: {{New: map[string]any{"n": 1}, Revision: 5}},
		true:  {{New: map[string]any{"n": 1}, Revision: 6}, {New: map[string]any{}, Revision: 5}, {Revision: 5}},
	} {
		for _, ch := range changes {
			if layer.isUnread(ch, read) != want {
				t.Errorf("%+v is unread: %v", ch, !want)
			}
		}
	}
}
