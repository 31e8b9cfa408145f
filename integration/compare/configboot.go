package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
)

// backend is what stands in one key of the tree.
type backend struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Weight int    `json:"weight"`
}

// boot is a tree of 10,000 keys, opened and decoded into a map, unknown fields being errors for all. The peer reads pages of a thousand,
// the limit a stream.
func boot() []row {
	const n = 10_000
	return []row{{
		name: "config/boot/10000", unit: "ms", lower: true,
		ours: func(b *bench) func(time.Duration) float64 {
			s, name := b.ours(), b.name()
			fill(b, "etcdkit/config/"+name+"/", n)
			return openings(n, func() int {
				v, err := config.Watch(background, s, name, map[string]backend{}, config.WithTree())
				check(err)
				defer func() { check(v.Close()) }()
				return len(v.Get())
			})
		},
		peer:  func(b *bench) func(time.Duration) float64 { return decoding(b, n, pages) },
		limit: func(b *bench) func(time.Duration) float64 { return decoding(b, n, chunks) },
	}}
}

// fill puts n keys below a prefix.
func fill(b *bench, prefix string, n int) {
	const most = 100 // of a transaction
	c := b.client()
	for begin := 0; begin < n; begin += most {
		var ops []clientv3.Op
		for i := begin; i < min(begin+most, n); i++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("%sb%05d", prefix, i), fmt.Sprintf(`{"host":"10.0.%d.%d","port":8080,"weight":3}`, i/256, i%256)))
		}
		_, err := c.Txn(background).Then(ops...).Commit()
		check(err)
	}
}

// openings opens again and again, and returns the time that it takes at the median, in ms.
func openings(n int, open func() int) func(time.Duration) float64 {
	return func(d time.Duration) float64 {
		var found []float64
		for until := time.Now().Add(d); ; {
			begun := time.Now()
			if got := open(); got != n {
				check(fmt.Errorf("%d entries, want %d", got, n))
			}
			found = append(found, time.Since(begun).Seconds()*1000)
			if time.Now().After(until) {
				return median(found)
			}
		}
	}
}

// decoding reads the keys in one way, and decodes as a program would by hand.
func decoding(b *bench, n int, read func(c *clientv3.Client, prefix string, each func(*mvccpb.KeyValue))) func(time.Duration) float64 {
	c, prefix := b.client(), b.name()+"/"
	fill(b, prefix, n)
	return openings(n, func() int {
		all := map[string]backend{}
		read(c, prefix, func(kv *mvccpb.KeyValue) {
			var v backend
			dec := json.NewDecoder(bytes.NewReader(kv.Value))
			dec.DisallowUnknownFields()
			check(dec.Decode(&v))
			all[strings.TrimPrefix(string(kv.Key), prefix)] = v
		})
		return len(all)
	})
}

func pages(c *clientv3.Client, prefix string, each func(*mvccpb.KeyValue)) {
	var revision int64
	for key := prefix; ; {
		resp, err := c.Get(background, key, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(1000), clientv3.WithRev(revision))
		check(err)
		for _, kv := range resp.Kvs {
			each(kv)
		}
		if !resp.More {
			return
		}
		revision = resp.Header.Revision
		key = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

func chunks(c *clientv3.Client, prefix string, each func(*mvccpb.KeyValue)) {
	stream, err := c.GetStream(background, prefix, clientv3.WithPrefix())
	check(err)
	for chunk := range stream {
		check(chunk.Err())
		for _, kv := range chunk.Kvs {
			each(kv)
		}
	}
}
