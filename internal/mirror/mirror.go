package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
	"etcdkit/internal/stream"
)

// patience is how long the server may be silent while it owes an answer.
const patience = 5 * time.Second

// Mirror is the memory of one prefix, or of one key. It is safe for concurrent use.
type Mirror struct {
	// CheckEvery is how often rights, history and the watch's being alive are checked. It may be changed before Run; 30 s.
	CheckEvery time.Duration

	// Stream is where the mirror's watch is. It may be changed before Run to one that others use too; one of its own. Run sees to it that nothing of its watches is left there.
	Stream *stream.Stream

	client *clientv3.Client
	prefix string // the first key of the range
	bound  string // the key just behind it; "" if the range is one key
	log    *slog.Logger

	// For Run's goroutine alone.
	paged  bool // the list must be read in pages
	listed bool // the state can be gone on from: the history since is there, as far as is known

	ready    chan struct{} // closed when there is a state
	done     chan struct{} // closed when Run has returned
	advanced chan struct{} // holds a token when seen has grown

	mu      sync.Mutex // protects what follows
	state   state
	lineage lineage
	seen    int64 // the revision up to which the watch is known to have told everything
	fresh   freshness
	last    error // the last error that was tried again
	end     error // why Run has returned
	subs    subscriptions
}

// New returns a mirror of the keys that begin with prefix, which must not be empty. It touches nothing: see Run.
func New(client *clientv3.Client, prefix string, log *slog.Logger) *Mirror {
	return newRange(client, prefix, clientv3.GetPrefixRangeEnd(prefix), log)
}

// NewKey returns a mirror of one key.
func NewKey(client *clientv3.Client, key string, log *slog.Logger) *Mirror {
	return newRange(client, key, "", log)
}

func newRange(client *clientv3.Client, prefix, bound string, log *slog.Logger) *Mirror {
	return &Mirror{
		CheckEvery: 30 * time.Second, // a revoked permission is worth one small read, but not many
		Stream:     stream.New("mirror"),
		client:     client,
		prefix:     prefix,
		bound:      bound,
		log:        log.With("prefix", prefix),
		ready:      make(chan struct{}),
		done:       make(chan struct{}),
		advanced:   make(chan struct{}, 1),
		subs:       subscriptions{},
		state:      state{items: map[string]*Item{}},
		fresh:      freshness{proof: time.Now(), stale: true},
	}
}

// Run keeps the mirror in step until ctx ends, then returns its cause, or until nothing can: the history was rewound, a permission
// is missing. All who wait for the mirror get that error too. Run is called once.
func (m *Mirror) Run(ctx context.Context) error {
	err := m.run(ctx)
	m.Stream.Close()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	err = fmt.Errorf("mirror %q: %w", m.prefix, err)
	m.mu.Lock()
	m.end = err
	m.fresh.stale = true
	m.mu.Unlock()
	close(m.done)
	return err
}

func (m *Mirror) run(ctx context.Context) error {
	var pause retry.Backoff
	for {
		begun := time.Now()
		err := m.live(ctx)
		var final finalError
		if errors.As(err, &final) || ctx.Err() != nil {
			return err
		}
		m.doubt(err)
		if time.Since(begun) > patience {
			pause.Reset() // this life was no failure to come alive
		}
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}

// Ready waits for the first list. At ctx's end its error tells the last one that stood in the way. Once Run has returned, it
// returns Run's error: what cannot be followed any more may be what must not be read any more.
func (m *Mirror) Ready(ctx context.Context) error {
	select {
	case <-m.ready:
	case <-m.done:
	case <-ctx.Done():
		return m.notReady(ctx)
	}
	select {
	case <-m.done:
		return m.ended()
	default:
		return nil
	}
}

func (m *Mirror) notReady(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		return fmt.Errorf("mirror %q: no list yet: %w", m.prefix, context.Cause(ctx))
	}
	return fmt.Errorf("mirror %q: no list yet: %w (last error: %w)", m.prefix, context.Cause(ctx), m.last)
}

// ended returns the error with which Run returned.
func (m *Mirror) ended() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.end
}

// Snapshot waits until the mirror is Ready and returns the newest state.
func (m *Mirror) Snapshot(ctx context.Context) (*Snapshot, error) {
	if err := m.Ready(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.snapshot(), nil
}

// Revision returns the revision up to which the mirror is known to be right, zero before the first list. It grows, slowly,
// while nothing changes below the prefix.
func (m *Mirror) Revision() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.seen, m.state.revision)
}
