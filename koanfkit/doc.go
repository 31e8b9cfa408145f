// Package koanfkit is a provider for koanf: a layer of the settings of a program that follows etcd, between its files and its environment.
//
//	layer, err := koanfkit.Provider(ctx, s, "app/api")
//	err = k.Load(file.Provider("app.json"), json.Parser())
//	err = k.Load(layer, nil)
//	err = k.Load(env.Provider(".", env.Opt{Prefix: "APP_"}), nil)
//	err = layer.Watch(func(event any, err error) {...}) // as koanf's own providers
//
// A program that needs no other layers does better with package config alone, which gives it a typed value.
//
// # Reading
//
// A layer has what stands in etcd and nothing else, so that layers below show through; a value that is absent is an empty layer.
// It reads from memory: Read and ReadBytes never wait and never fail because of etcd. What Read returns is the caller's own, since
// koanf writes into what it was given.
//
// The value is one key with a JSON object; config.WithTree takes the keys below the name instead, config.WithDecoder(yaml.Unmarshal)
// another format, and the other options of config.Watch mean what they mean there: with config.WithReport, "etcdkit config status" tells
// what this process runs and refused. ReadBytes has the value as JSON, in whatever format it stands in etcd. Numbers are float64, as koanf's
// own parser of JSON makes them: whole ones are exact up to 2^53.
//
// # Watching
//
// The callback of Watch gets a *config.Change[map[string]any] for each change, also for one that came between Load and Watch, and it
// gets nil and an error when an update was refused (config.ErrRefused; Read goes on with the last good value), when the value is
// not known to be in step with etcd any more (ErrStale; it is caught up with by itself), and, as the last call, when it cannot be followed any more.
// The maps in a change are shared and read-only; Read has one's own.
//
// Unwatch and Close end that, and return when a callback under way has, and so must not be called in it. After that it is not
// called any more.
//
// Two properties of koanf decide what a callback has to do. Loading merges: what is gone from a layer stays in the Koanf. And a layer that
// is loaded again lies on top of all others. So load all layers into a new Koanf, and put it in the place of the old one, as
// the example does.
//
// # Refusing
//
// Without a check only what is no JSON object is refused. A decoder made by Checked, with config.Check(Settings{}), refuses what Settings cannot be
// read from, or whose Validate says no, before koanf or any callback hears of it. The check sees this layer over the defaults that it was
// made with, not the other layers.
//
// # Bounds
//
// There is one callback at a time, and it is called by one goroutine: while it is under way nothing queues up, since the changes that come meanwhile
// are told as one, the newest refusal included. So a slow callback misses what lay in between, and never the last state. A value is at most what etcd takes in one request, 1 MiB through a config.Store; it is in memory
// twice, as bytes and decoded, and once more for each Read.
//
// # Cost
//
// That of one config.Value, a copy for each Read, and a goroutine while it is watched.
package koanfkit
