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
// another format, and the other options of config.Watch mean what they mean there. ReadBytes has the value as JSON, in whatever format
// it stands in etcd.
//
// # Watching
//
// The callback of Watch gets a *config.Change[map[string]any] for each change, also for one that came between Load and Watch, and it
// gets nil and an error when an update was refused (config.ErrRefused; Read goes on with the last good value), when the value is
// not known to be in step with etcd any more (ErrStale; it is caught up with by itself), and, as the last call, when it cannot be followed any more.
// It is called by one goroutine at a time: changes that come meanwhile are told as one. Unwatch and Close return when a callback under
// way has, and so must not be called in it.
//
// Two properties of koanf decide what a callback has to do. Loading merges: what is gone from a layer stays in the Koanf. And a layer that
// is loaded again lies on top of all others. So load all layers into a new Koanf, and put it in the place of the old one, as
// the example does.
//
// # Refusing
//
// Without a check only what is no JSON object is refused. WithCheck(config.Check(Settings{})) refuses what Settings cannot be read from, or
// whose Validate says no, before any callback hears of it. The check sees this layer over the defaults that it was made with, not
// the other layers.
//
// # Cost
//
// That of one config.Value, and a copy for each Read. Two goroutines while it is watched, which look once a second whether the value is stale.
package koanfkit
