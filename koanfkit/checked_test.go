package koanfkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"etcdkit/config"
)

// lines decodes a format of its own: a field and a value in each line.
func lines(data []byte, v any) error {
	text := map[string]string{}
	for line := range bytes.Lines(data) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if !ok {
			return errors.New("no equals sign")
		}
		text[name] = value
	}
	asJSON, err := json.Marshal(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(asJSON, v)
}

// level is what a program reads from it.
type level struct {
	Level string `json:"level"`
}

func (l level) Validate() error {
	if l.Level == "loud" {
		return errors.New("level: loud is none")
	}
	return nil
}

// What a check refuses does not reach koanf, in whatever format it stands, and at the first read neither.
func TestCheckedInAnotherFormat(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, "level=loud")
	noTabs := func(data []byte) error {
		if bytes.Contains(data, []byte("\t")) {
			return errors.New("no tabs")
		}
		return nil
	}
	decoder := config.WithDecoder(Checked(lines, noTabs, config.Check(level{}, config.WithDecoder(lines))))
	if _, err := Provider(soon(t), s, "app/api", decoder); !errors.Is(err, config.ErrRefused) || !strings.Contains(err.Error(), "loud is none") {
		t.Errorf("the first read: %v", err)
	}
	mustPut(t, client, keyOf, "level=info")
	layer := mustProvide(t, s, decoder)
	got := mustWatch(t, layer)
	for bad, why := range map[string]string{"level=loud": "loud is none", "level=\tinfo": "no tabs", "level": "no equals sign"} {
		mustPut(t, client, keyOf, bad)
		if c := got.next(t); c.event != nil || !errors.Is(c.err, config.ErrRefused) || !strings.Contains(c.err.Error(), why) {
			t.Errorf("%q: called with %v and %v", bad, c.event, c.err)
		}
		if is := load(t, layer).String("level"); is != "info" {
			t.Errorf("%q: read %q", bad, is)
		}
	}
}

// A check of a tree sees all of it, as one document.
func TestCheckedTree(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf+"/timeout", "5s")
	check := config.Check(settings{}, config.WithTree())
	layer := mustProvide(t, s, config.WithTree(), config.WithDecoder(Checked(json.Unmarshal, check)))
	got := mustWatch(t, layer)
	mustPut(t, client, keyOf+"/timeout", "0s")
	if c := got.next(t); !errors.Is(c.err, config.ErrRefused) || load(t, layer).Duration("timeout") != 5*time.Second {
		t.Errorf("called with %v and %v, read %v", c.event, c.err, load(t, layer).Raw())
	}
	mustPut(t, client, keyOf+"/timeout", "6s")
	if ch := got.change(t); ch.New["timeout"] != "6s" {
		t.Errorf("told %+v", ch)
	}
}

// The bytes of a tree are one object, nested as the keys are, and follow etcd like Read.
func TestReadBytesOfATree(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	for path, value := range map[string]string{"c": "plain <text>", "n": "1.5", "http/port": "3", "http/tls/on": "true", "list": `[{"a":null}]`} {
		mustPut(t, client, keyOf+"/"+path, value)
	}
	layer := mustProvide(t, s, config.WithTree())
	got := mustWatch(t, layer)
	const want = `map[c:plain <text> http:map[%s] list:[map[a:<nil>]] n:1.5]`
	if is := parsed(t, layer); is != fmt.Sprintf(want, "port:3 tls:map[on:true]") {
		t.Errorf("read %s", is)
	}
	if _, err := client.Delete(soon(t), keyOf+"/http/port"); err != nil {
		t.Fatal(err)
	}
	got.change(t)
	if is := parsed(t, layer); is != fmt.Sprintf(want, "tls:map[on:true]") {
		t.Errorf("after a delete: read %s", is)
	}
	if _, err := client.Delete(soon(t), keyOf+"/http/tls/on"); err != nil {
		t.Fatal(err)
	}
	got.change(t)
	if is := parsed(t, layer); strings.Contains(is, "http") {
		t.Errorf("after both: read %s", is)
	}
}

// parsed is what ReadBytes has, checked to be what Read has.
func parsed(t *testing.T, layer *Layer) string {
	t.Helper()
	data, err := layer.ReadBytes()
	must(t, err)
	var fromBytes map[string]any
	must(t, json.Unmarshal(data, &fromBytes))
	m, err := layer.Read()
	must(t, err)
	if fmt.Sprint(m) != fmt.Sprint(fromBytes) {
		t.Errorf("Read has %v, ReadBytes %s", m, data)
	}
	return fmt.Sprint(fromBytes)
}

// What JSON has no words for is an error of ReadBytes, and of nothing else.
func TestReadBytesFails(t *testing.T) {
	t.Parallel()
	client, s := open(t)
	mustPut(t, client, keyOf, "any")
	layer := mustProvide(t, s, config.WithDecoder(func(_ []byte, v any) error {
		*v.(*map[string]any) = map[string]any{"f": func() {}, "tables": []map[string]any{{"a": 1}}}
		return nil
	}))
	if data, err := layer.ReadBytes(); err == nil {
		t.Errorf("read %s", data)
	}
	m, err := layer.Read()
	must(t, err)
	m["tables"].([]any)[0].(map[string]any)["a"] = 2
	if again, err := layer.Read(); err != nil || fmt.Sprint(again["tables"]) != "[map[a:1]]" {
		t.Errorf("what the test wrote is in the layer: %v, %v", again, err)
	}
}
