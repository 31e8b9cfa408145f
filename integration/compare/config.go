package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/spf13/viper"
	"gocloud.dev/runtimevar"
	"gocloud.dev/runtimevar/etcdvar"

	"etcdkit/config"
)

// limits is what the configuration rows read: 64 bytes of plain numbers, which every contender can decode.
type limits struct {
	Seq     int64 `json:"seq"`
	Rate    int64 `json:"rate"`
	Burst   int64 `json:"burst"`
	Queue   int64 `json:"queue"`
	Workers int64 `json:"workers"`
	Retries int64 `json:"retries"`
	Size    int64 `json:"size"`
	Age     int64 `json:"age"`
}

// text is limits as they stand in etcd.
func text(seq int64) string {
	data, err := json.Marshal(limits{seq, 1000, 50, 256, 16, 3, 4096, 3600})
	check(err)
	return string(data)
}

// get is what one reading of a value costs while a writer changes it 100 times a second: the time, at the median of batches, and
// the allocations.
func get() []row {
	var all []row
	for _, peer := range []struct {
		name   string
		values func(b *bench) reader
	}{{"config/get", viperValue}, {"config/get/runtimevar", runtimevarValue}} {
		all = append(all, row{
			name: peer.name, unit: "ns", lower: true,
			ours: reading(ourValue, batchTime), peer: reading(peer.values, batchTime), limit: reading(pointer, batchTime),
		}, row{
			name: peer.name + "/allocs", unit: "allocs", lower: true,
			ours: reading(ourValue, allocations), peer: reading(peer.values, allocations), limit: reading(pointer, allocations),
		})
	}
	return all
}

// A reader writes a value, and opens it for reading: n times.
type reader struct {
	write func(seq int64) error
	open  func() (read func(n int), closer func())
}

// batch is how many readings are timed at once.
const batch = 10_000

// reading measures with the writer at work.
func reading(values func(b *bench) reader, measure func(d time.Duration, read func(n int)) float64) contender {
	return func(b *bench) func(time.Duration) float64 {
		r := values(b)
		check(r.write(0))
		var seq atomic.Int64
		write := func() error { return r.write(seq.Add(1)) }
		return func(d time.Duration) float64 {
			read, closer := r.open()
			defer closer()
			stop := load(100, []func() error{write, write, write, write}) // one alone would fall behind, on a machine that is busy reading
			defer stop()
			return measure(max(d, 200*time.Millisecond), read) // for fewer writes, load would not be met
		}
	}
}

func batchTime(d time.Duration, read func(n int)) float64 {
	var found []float64
	for until := time.Now().Add(d); ; {
		begun := time.Now()
		read(batch)
		end := time.Now()
		found = append(found, float64(end.Sub(begun).Nanoseconds())/batch)
		if end.After(until) {
			return median(found)
		}
	}
}

// allocations counts those of the whole process: what the watch and the writer allocate is part of the figure, and is nothing beside so
// many readings.
func allocations(d time.Duration, read func(n int)) float64 {
	var before, after runtime.MemStats
	n := 0
	runtime.ReadMemStats(&before)
	for until := time.Now().Add(d); time.Now().Before(until); n += batch {
		read(batch)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

func ourValue(b *bench) reader {
	name := b.name()
	v, err := config.Watch(background, b.ours(), name, limits{})
	check(err)
	b.later(func() { _ = v.Close() })
	var sink limits
	return reader{
		write: writer(b, "etcdkit/config/"+name),
		open: func() (func(n int), func()) {
			return func(n int) {
				for range n {
					sink = v.Get()
				}
			}, func() { runtime.KeepAlive(&sink) }
		},
	}
}

// writer puts limits.
func writer(b *bench, key string) func(seq int64) error {
	c := b.client()
	return func(seq int64) error {
		_, err := c.Put(background, key, text(seq))
		return err
	}
}

// pointer is the least that a value that changes can cost.
func pointer(*bench) reader {
	var current atomic.Pointer[limits]
	var sink limits
	return reader{
		write: func(seq int64) error { current.Store(&limits{Seq: seq}); return nil },
		open: func() (func(n int), func()) {
			return func(n int) {
				for range n {
					sink = *current.Load()
				}
			}, func() { runtime.KeepAlive(&sink) }
		},
	}
}

// viperValue is one field, from a file that viper watches: Get is the same whatever the values come from.
func viperValue(b *bench) reader {
	dir, err := os.MkdirTemp("", "compare-viper-")
	check(err)
	b.later(func() { _ = os.RemoveAll(dir) }) // which ends viper's goroutine
	path := filepath.Join(dir, "limits.json")
	write := func(seq int64) error {
		next := fmt.Sprintf("%s.%d", path, seq)
		if err := os.WriteFile(next, []byte(text(seq)), 0o600); err != nil {
			return err
		}
		return os.Rename(next, path)
	}
	check(write(0))
	v := viper.New()
	v.SetConfigFile(path)
	check(v.ReadInConfig())
	v.WatchConfig()
	var sink any
	return reader{
		write: write,
		open: func() (func(n int), func()) {
			return func(n int) {
				for range n {
					sink = v.Get("seq")
				}
			}, func() { runtime.KeepAlive(&sink) }
		},
	}
}

// runtimevarValue is open while it is measured alone: etcdvar ends the context of its watch as soon as it has begun, so the watch ends too, and
// it asks again without a pause (thousands of times a second), which would cost the others their share of the machine.
func runtimevarValue(b *bench) reader {
	key := b.name()
	var sink limits
	return reader{
		write: writer(b, key),
		open: func() (func(n int), func()) {
			v := openVariable(b, key)
			return func(n int) {
				for range n {
					snap, err := v.Latest(background)
					check(err)
					sink = snap.Value.(limits)
				}
			}, func() { runtime.KeepAlive(&sink); check(v.Close()) }
		},
	}
}

func openVariable(b *bench, key string) *runtimevar.Variable {
	v, err := etcdvar.OpenVariable(b.client(), key, runtimevar.NewDecoder(limits{}, runtimevar.JSONDecode), nil)
	check(err)
	if _, err := v.Latest(background); err != nil {
		check(fmt.Errorf("runtimevar: %w", err))
	}
	return v
}
