package session

import (
	"fmt"
	"log/slog"
	"maps"
	"time"

	"etcdkit/internal/keyspace"
)

// Option changes a default of New.
type Option func(*options)

type options struct {
	prefix string
	ttl    time.Duration
	allow  allowance
	grace  time.Duration
	log    *slog.Logger
	trace  Trace
	labels map[string]string
}

func defaults() options {
	return options{
		prefix: "etcdkit",
		ttl:    10 * time.Second, // three renewals, and two of them may fail
		allow:  allowance{rate: defaultRate},
		grace:  time.Second, // long enough for a few round trips, short enough for a deploy
		log:    slog.New(slog.DiscardHandler),
	}
}

// WithPrefix sets the prefix of every key of the session; the default is "etcdkit". Programs that coordinate with each other use the
// same one. A prefix must not lie inside another one that is in use ("prod" and "prod/lock"): their keys could meet.
func WithPrefix(prefix string) Option { return func(o *options) { o.prefix = prefix } }

// WithTTL sets how long the lease outlives its last renewal; the default is 10 s. That is how long the others wait when this process
// dies without closing its session. etcd counts in whole seconds and has a minimum (2 s with its default election timeout):
// what it grants is used, and told by Lease.TTL.
func WithTTL(ttl time.Duration) Option { return func(o *options) { o.ttl = ttl } }

// WithRateAllowance sets by how much the clock of an etcd server may run faster than ours; the default is 0.05, five per cent. Two
// clocks that differ by more can make a holder believe too long.
func WithRateAllowance(share float64) Option { return func(o *options) { o.allow.rate = share } }

// WithMargin sets how long before the end of the trusted time everything held ends; the default is a twentieth of the TTL, at
// least 100 ms. It covers the time that the scheduler may take to run a timer.
func WithMargin(margin time.Duration) Option {
	return func(o *options) { o.allow.margin, o.allow.fixed = margin, true }
}

// WithGrace sets how long a release goes on when its ctx is over already; the default is one second.
func WithGrace(grace time.Duration) Option { return func(o *options) { o.grace = grace } }

// WithLogger sets the log; the default is silent.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithTrace sets functions that are called at the turns of the session's life and of what it holds.
func WithTrace(trace *Trace) Option {
	return func(o *options) {
		if trace != nil {
			o.trace = *trace
		}
	}
}

// WithLabels sets what the session says of itself to those who ask who holds or waits.
func WithLabels(labels map[string]string) Option {
	return func(o *options) { o.labels = maps.Clone(labels) }
}

// maxLabels bounds the labels, which every list of owners reads.
const maxLabels = 16 << 10

// check returns the key space of valid options, or names the bad one.
func (o *options) check() (keyspace.Space, error) {
	keys, err := keyspace.New(o.prefix)
	switch {
	case err != nil:
		return keys, err
	case o.ttl <= 0 || o.ttl > 9_000_000_000*time.Second:
		return keys, fmt.Errorf("TTL %v: must be more than zero", o.ttl)
	case !(o.allow.rate >= 0 && o.allow.rate < 1): // not a number is neither
		return keys, fmt.Errorf("rate allowance %v: must be at least 0 and below 1", o.allow.rate)
	case o.allow.margin < 0:
		return keys, fmt.Errorf("margin %v: must not be negative", o.allow.margin)
	case o.allow.span(ceilSeconds(o.ttl)) <= 0:
		return keys, fmt.Errorf("TTL %v: rate allowance and margin leave nothing of it", o.ttl)
	case o.grace <= 0:
		return keys, fmt.Errorf("grace %v: must be more than zero", o.grace)
	case o.log == nil:
		return keys, fmt.Errorf("logger: must not be nil")
	}
	size := 0
	for k, v := range o.labels {
		size += len(k) + len(v)
	}
	if size > maxLabels {
		return keys, fmt.Errorf("labels: %d bytes, more than %d", size, maxLabels)
	}
	return keys, nil
}

// ceilSeconds rounds up to what etcd can grant.
func ceilSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
