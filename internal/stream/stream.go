// Package stream gives watches a gRPC stream of their own, apart from the user's: one place knows how, and what may go wrong there.
//
// etcd's client puts all watches whose outgoing metadata are equal on one stream. A Stream is such metadata: a name, and a
// generation that replaces a stream that went bad, since a stuck one hangs every later watch on it (etcd-io/etcd#17611), one
// watch that could not be created leaves its error to the others, and a long-lived one keeps the auth token that it began with.
// Watches go through client.Watch, so a client with a namespace works.
package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
)

// breath is the time in which one request for progress serves all watches on a stream, since all of them get the answer: without it, what
// n watches ask costs n times n answers.
const breath = 50 * time.Millisecond

// patience is how long a connected client may take to create a watch. A thousand of them on one stream take 0.1 s.
const patience = 5 * time.Second

var (
	errStuck       = fmt.Errorf("no answer within %v", patience)
	errUnconnected = fmt.Errorf("no connection within %v", patience)
	errSilent      = errors.New("closed without a word")
	errReplaced    = errors.New("the stream was given up")
)

// Stream is where watches are opened that share one gRPC stream. It is safe for concurrent use.
type Stream struct {
	name       string
	generation atomic.Uint64
	last       atomic.Pointer[Watch]     // the last one that was tried; nil before the first
	givenUp    atomic.Bool               // a watch was given up before it was created
	asked      atomic.Pointer[time.Time] // when progress was last requested; nil before the first time
}

// New returns a Stream that no other shares, whatever its name: that is for who reads the server's traffic.
func New(name string) *Stream { return &Stream{name: name + "/" + rand.Text()} }

// Watch is a watch that the server has created.
type Watch struct {
	// Revision is the store's when the watch was created: of a watch without a start revision, all later events will come. After a
	// reconnect it may deliver the events of Revision itself too.
	Revision int64
	// Responses is closed, with or without a last response that tells the error, when the watch ends. It never means that a key
	// was deleted.
	Responses clientv3.WatchChan

	client     *clientv3.Client
	key        string
	ctx        context.Context
	cancel     context.CancelCauseFunc
	stream     *Stream
	generation uint64
}

// Watch opens a watch that lives until ctx ends; whoever opens it must see to that. It returns when the server has created it.
// After a failure the caller just tries again, with a pause: the next call finds a new stream, unless the client had no connection,
// where a new one would come no further, and stay until the connection is back.
func (s *Stream) Watch(ctx context.Context, client *clientv3.Client, key string, opts ...clientv3.OpOption) (*Watch, error) {
	w := &Watch{client: client, key: key, stream: s, generation: s.generation.Load()}
	s.last.Store(w)
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.ctx = metadata.NewOutgoingContext(w.ctx, s.metadata(w.generation))

	if err := w.open(opts); err != nil {
		if w.ctx.Err() != nil {
			s.givenUp.Store(true)
		}
		w.cancel(err)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !errors.Is(err, errUnconnected) {
			w.Replace()
		}
		return nil, fmt.Errorf("watch %q: %w", key, err)
	}
	return w, nil
}

// metadata takes nothing over from the caller's context: each request id in there would open one more stream.
func (s *Stream) metadata(generation uint64) metadata.MD {
	return metadata.Pairs(
		"etcdkit-stream", fmt.Sprintf("%s/%d", s.name, generation),
		rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader, // else a member cut off from the others goes silent
	)
}

// open waits for the server to say that the watch is created. client.Watch blocks that long too, but obeys its context.
func (w *Watch) open(opts []clientv3.OpOption) error {
	defer time.AfterFunc(patience, w.giveUp).Stop()
	w.Responses = w.client.Watch(w.ctx, w.key, append(opts[:len(opts):len(opts)], clientv3.WithCreatedNotify())...)
	select {
	case first, ok := <-w.Responses:
		switch {
		case w.ctx.Err() != nil:
			return context.Cause(w.ctx)
		case !ok:
			return errSilent
		case first.Err() != nil:
			return first.Err()
		}
		w.Revision = first.Header.GetRevision()
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// giveUp ends an attempt that had no answer for too long.
func (w *Watch) giveUp() {
	if connected(w.client) {
		w.cancel(errStuck)
		return
	}
	w.cancel(errUnconnected)
}

// connected is true as well for a client without a connection of its own, which stands on another.
func connected(client *clientv3.Client) bool {
	conn := client.ActiveConnection()
	return conn == nil || conn.GetState() == connectivity.Ready
}

// Replace ends this watch and gives its stream up: whoever comes next gets a new one. The other watches on the old stream stay.
func (w *Watch) Replace() {
	w.cancel(errReplaced)
	if w.stream.generation.CompareAndSwap(w.generation, w.generation+1) {
		w.sweep()
	}
}

// RequestProgress asks the server to say how far this stream's watches have come. The answer is one of Responses without events,
// and comes only if none of them has events outstanding. If another one asked just before, nothing is done: whoever finds that answer too old
// asks again. The watch's context must not end meanwhile: where the client finds no
// stream to ask on it opens one, and a stream that never had a watch is never closed.
func (w *Watch) RequestProgress(ctx context.Context) error {
	last, now := w.stream.asked.Load(), time.Now()
	if last != nil && now.Sub(*last) < breath || !w.stream.asked.CompareAndSwap(last, &now) {
		return nil
	}
	return w.client.RequestProgress(metadata.NewOutgoingContext(ctx, w.stream.metadata(w.generation)))
}

// Close sees to it that nothing is left of the stream, once the contexts of the watches on it have ended. It misses a connection
// that breaks at the very moment.
func (s *Stream) Close() {
	if w := s.last.Load(); w != nil {
		w.sweep()
	}
}

// sweep opens one more watch on the stream and ends it. The client closes a stream when the last watch on it ends, but not if the
// server did not know that watch at the time, because it was still being created, or created again after a reconnect: such a
// stream stays open with nothing on it. Sweeping needs a connection, so nobody waits for it; it ends with the client at the latest.
// Where it is not needed it is not done: if the watch is refused just when the client is closed, that can hang (#17611).
func (w *Watch) sweep() {
	if !w.stream.givenUp.Swap(false) && connected(w.client) {
		return
	}
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(w.client.Ctx(), w.stream.metadata(w.generation)))
	go func() {
		defer cancel()
		select {
		case <-w.client.Watch(ctx, w.key, clientv3.WithCreatedNotify()):
		case <-ctx.Done():
		}
	}()
}
