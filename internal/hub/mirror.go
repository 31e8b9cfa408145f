package hub

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"

	"etcdkit/internal/mirror"
	"etcdkit/internal/stream"
)

// errUnused ends a mirror that nobody uses any more.
var errUnused = errors.New("no longer used")

// Mirror returns the mirror of the keys that begin with prefix, one for all who ask for the same, and what gives it back. It runs until the
// last one has given it back, or the hub closes.
func (h *Hub) Mirror(prefix string) (m *mirror.Mirror, release func()) {
	return h.mirror("keys below "+prefix, func() *mirror.Mirror { return mirror.New(h.Client, prefix, h.Log) })
}

// MirrorKey is Mirror of one key.
func (h *Hub) MirrorKey(key string) (m *mirror.Mirror, release func()) {
	return h.mirror("key "+key, func() *mirror.Mirror { return mirror.NewKey(h.Client, key, h.Log) })
}

// mirror shares the mirror of what, made by open when there is none.
func (h *Hub) mirror(what string, open func() *mirror.Mirror) (m *mirror.Mirror, release func()) {
	h.mu.Lock()
	key := fmt.Sprintf("mirror %d of %s", h.ended[what], what)
	h.mu.Unlock()
	shared := h.Share(key, func() (any, func()) {
		ctx, cancel := context.WithCancelCause(h.ctx)
		run := &mirrorRun{Mirror: open()}
		run.Stream = h.streamFor(what)
		run.start = sync.OnceFunc(func() {
			h.Go(func(context.Context) {
				_ = run.Run(ctx) // who waits for the mirror gets the error
				if ctx.Err() == nil {
					h.retire(what)
				}
			})
		})
		return run, func() { cancel(errUnused) }
	}).(*mirrorRun)
	shared.start() // not in open, which runs under the hub's lock
	return shared.Mirror, func() { h.Unshare(key) }
}

// mirrorStreams is a compromise: a stream that hangs takes all its watches with it, and each stream costs client and server memory.
const mirrorStreams = 4

// streamFor returns the stream on which that is watched.
func (h *Hub) streamFor(what string) *stream.Stream {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(what)) // never fails
	return h.mirrors[sum.Sum32()%mirrorStreams]
}

func (h *Hub) closeMirrors() {
	for _, s := range h.mirrors {
		s.Close()
	}
}

// retire sees to it that a mirror that has ended by itself is not handed out any more: what was in its way may be gone.
func (h *Hub) retire(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended[what]++
}

// mirrorRun is a mirror and what starts its loop, once.
type mirrorRun struct {
	*mirror.Mirror
	start func()
}
