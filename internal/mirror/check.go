package mirror

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"

	"etcdkit/internal/stream"
)

const (
	recheck  = time.Second            // after a check that told nothing
	askAgain = 200 * time.Millisecond // the server ignores a request for progress while the watch has events outstanding
)

var errDisconnected = errors.New("the connection is lost")

// check proves every so often, and at once when the watch begins or the connection breaks, that the mirror may still read, that
// history goes on, and that the watch has told everything. It returns when the mirror cannot go on with this watch.
func (m *Mirror) check(ctx context.Context, w *stream.Watch) error {
	for {
		begun, rest := time.Now(), recheck
		err := m.prove(ctx, w)
		var final finalError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			m.confirm(begun)
			rest = m.CheckEvery*9/10 + rand.N(m.CheckEvery/5)
		case errors.As(err, &final):
			return err
		case errors.Is(err, errSilent):
			w.Replace()
			return err
		default: // the watch may be alive although the read failed
			m.doubt(err)
		}
		m.rest(ctx, rest)
	}
}

// prove makes one check. The key that it reads lies in the prefix but stands for it: a read of the range would have the server count
// all of it.
func (m *Mirror) prove(ctx context.Context, w *stream.Watch) error {
	known := m.applied()
	reading, cancel := context.WithTimeoutCause(ctx, patience, errNoAnswer)
	defer cancel()
	resp, err := m.client.Get(reading, m.prefix, clientv3.WithKeysOnly())
	if err != nil {
		if reading.Err() != nil {
			return context.Cause(reading)
		}
		return readError(err)
	}
	m.mu.Lock()
	err = m.lineage.check(resp.Header, known)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return m.reach(ctx, w, resp.Header.GetRevision())
}

// reach waits until the watch is known to have told everything up to a revision, as long as it tells anything at all.
func (m *Mirror) reach(ctx context.Context, w *stream.Watch, revision int64) error {
	silence := time.NewTimer(patience)
	defer silence.Stop()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	ask := true
	for m.Revision() < revision {
		if ask && ctx.Err() == nil {
			if err := m.requestProgress(ctx, w); err != nil {
				return err
			}
		}
		ask = false
		select {
		case <-m.advanced:
			silence.Reset(patience)
		case <-again.C:
			ask = true
		case <-silence.C:
			return errSilent
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// requestProgress gives a stream that takes no request the chance to take the next one.
func (m *Mirror) requestProgress(ctx context.Context, w *stream.Watch) error {
	asking, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	if err := w.RequestProgress(asking); err != nil && asking.Err() == nil {
		return err // the stream has ended; the watch will say why
	}
	return nil
}

// rest waits until the next check is due, or the connection breaks: the watch itself would say nothing and try for ever. It may have
// broken just after the last answer came.
func (m *Mirror) rest(ctx context.Context, d time.Duration) {
	conn := m.client.ActiveConnection()
	broken := conn != nil && conn.GetState() != connectivity.Ready
	if broken {
		m.doubt(errDisconnected)
		d = min(d, recheck)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if conn == nil || broken || !conn.WaitForStateChange(ctx, connectivity.Ready) {
		<-ctx.Done()
		return
	}
	m.doubt(errDisconnected)
}
