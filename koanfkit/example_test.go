package koanfkit_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/etcdtest"
	"etcdkit/koanfkit"
	"etcdkit/session"
)

// The example runs against a real etcd, which TestExample gives to a process of its own; here it is skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("ETCDKIT_ENDPOINTS") == "" {
		if err := flag.Set("test.skip", "^Example"); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

func TestExample(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.v", "-test.run", "^Example")
	cmd.Env = append(os.Environ(), "ETCDKIT_ENDPOINTS="+etcdtest.New(t).Endpoints()[0])
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: Example") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Settings is what the program reads.
type Settings struct {
	Level   string `json:"level" koanf:"level"`
	Workers int    `json:"workers" koanf:"workers"`
}

// defaults is the lowest layer.
type defaults map[string]any

func (d defaults) Read() (map[string]any, error) { return d, nil }
func (d defaults) ReadBytes() ([]byte, error)    { return nil, errors.New("not for a parser") }

// The settings are made anew of all layers on each change, and swapped: so what is gone from etcd is gone from them, and the environment
// stays on top.
func Example() {
	ctx := context.Background()
	client, err := clientv3.New(session.ClientConfig(os.Getenv("ETCDKIT_ENDPOINTS")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s := session.New(client, session.WithLogger(logger)) // it logs refusals, and what is the matter with etcd
	defer s.Close(ctx)

	layer, err := koanfkit.Provider(ctx, s, "app/api",
		config.WithReport(), // "etcdkit config status app/api" shows what this process runs, and what it refused
		config.WithDecoder(koanfkit.Checked(json.Unmarshal, config.Check(Settings{}))))
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := layer.Close(); err != nil {
			log.Print(err)
		}
	}()

	read := func() (*Settings, error) {
		k := koanf.New(".")
		for _, p := range []koanf.Provider{
			defaults{"level": "info", "workers": 1},
			layer,
			env.Provider(".", env.Opt{Prefix: "APP_", TransformFunc: func(k, v string) (string, any) {
				return strings.ToLower(strings.TrimPrefix(k, "APP_")), v
			}}),
		} {
			if err := k.Load(p, nil); err != nil {
				return nil, err
			}
		}
		settings := new(Settings)
		return settings, k.Unmarshal("", settings)
	}
	var current atomic.Pointer[Settings]
	first, err := read()
	if err != nil {
		log.Fatal(err)
	}
	current.Store(first)
	told := make(chan error)
	err = layer.Watch(func(_ any, err error) {
		if err == nil {
			var next *Settings
			if next, err = read(); err == nil {
				current.Store(next)
			}
		}
		told <- err // a program would log it
	})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println("nothing in etcd:", *current.Load())
	for _, edit := range []string{`{"level":"debug","workers":4}`, `{"workers":"many"}`, `{"workers":8}`} {
		if _, err := client.Put(ctx, "etcdkit/config/app/api", edit); err != nil {
			log.Fatal(err)
		}
		err := <-told
		fmt.Println("refused:", err != nil, *current.Load())
	}
	// Output:
	// nothing in etcd: {info 1}
	// refused: false {debug 4}
	// refused: true {debug 4}
	// refused: false {info 8}
}
