package mirror

import (
	"context"
	"iter"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
	"etcdkit/internal/stream"
)

// live lists if it must, and keeps the state in step for as long as one watch lives.
func (m *Mirror) live(ctx context.Context) error {
	if !m.listed {
		if err := m.resync(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w, hangUp, err := m.watch(ctx)
	defer hangUp() // not before the check has ended: see stream.Watch.RequestProgress
	if err == nil {
		var check sync.WaitGroup
		check.Go(func() { cancel(m.check(ctx, w)) })
		cancel(m.follow(ctx, w))
		check.Wait()
		err = context.Cause(ctx)
	}
	// What cannot be watched must be listed, and if it cannot be listed either, that is the end. It is mostly compaction.
	m.listed = retry.Of(err) != retry.Never
	return err
}

// watch opens a watch that goes on from the state. ctx bounds the opening; the watch lives until hangUp.
func (m *Mirror) watch(ctx context.Context) (w *stream.Watch, hangUp func(), err error) {
	watching, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	// From the last change, not from the last notification of progress: that has run ahead of events in old servers
	// (etcd-io/etcd#15220). Fragments are put together by the client, and keep the responses below its limit.
	w, err = m.Stream.Watch(watching, m.client, m.prefix, clientv3.WithRange(m.bound), clientv3.WithRev(m.applied()+1),
		clientv3.WithProgressNotify(), clientv3.WithFragment())
	return w, func() { cancel(nil) }, err
}

// resync lists the prefix and delivers what is different.
func (m *Mirror) resync(ctx context.Context) error {
	begun, known := time.Now(), m.applied()
	l, err := m.list(ctx)
	if err != nil {
		return err
	}
	if err := m.adopt(l, known, begun); err != nil {
		return err
	}
	m.listed = true
	return nil
}

// adopt takes a list over whose read began at that time. Whoever sees the new state sees that it is in step, too.
func (m *Mirror) adopt(l *listing, known int64, begun time.Time) error {
	m.mu.Lock()
	err := m.lineage.check(l.header, known)
	if err != nil {
		m.mu.Unlock()
		return err
	}
	first := m.state.revision == 0
	m.lineage.id = l.header.GetClusterId()
	d := m.state.replace(l.items, l.header.GetRevision())
	m.seen = max(m.seen, m.state.revision)
	wake := m.deliverLocked(d, true)
	again, turned := m.confirmLocked(begun)
	m.mu.Unlock()
	wakeAll(wake)
	wakeAll(turned)
	if again {
		m.log.Info("mirror is in step again")
	}
	if first {
		close(m.ready)
	}
	return nil
}

// follow applies what the watch delivers until it ends. It returns why.
func (m *Mirror) follow(ctx context.Context, w *stream.Watch) error {
	for {
		select {
		case resp, ok := <-w.Responses:
			if !ok {
				return errClosed // a final error is lost if the client could not hand it over at once
			}
			if err := resp.Err(); err != nil {
				return err
			}
			if err := m.receive(&resp); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// receive applies one response: events of whole transactions, or a notification of progress.
func (m *Mirror) receive(resp *clientv3.WatchResponse) error {
	m.mu.Lock()
	if err := m.lineage.check(resp.Header, 0); err != nil {
		m.mu.Unlock()
		return err
	}
	var wake []*subscription
	dropped := 0
	for events := range transactions(resp.Events) {
		d, old := m.state.apply(events)
		dropped += old
		wake = append(wake, m.deliverLocked(d, false)...)
	}
	m.seen = max(m.seen, m.state.revision)
	if resp.IsProgressNotify() { // only of this: the header of a response with events can be ahead of the last of them
		m.seen = max(m.seen, resp.Header.GetRevision())
	}
	m.mu.Unlock()

	wakeAll(wake)
	select {
	case m.advanced <- struct{}{}:
	default:
	}
	if dropped > 0 {
		m.log.Debug("mirror dropped events that it had already", "events", dropped)
	}
	return nil
}

// transactions walks over the events of each transaction. They stand together, and a transaction is never split over two responses.
func transactions(events []*clientv3.Event) iter.Seq[[]*clientv3.Event] {
	return func(yield func([]*clientv3.Event) bool) {
		for len(events) > 0 {
			n := 1
			for n < len(events) && events[n].Kv.ModRevision == events[0].Kv.ModRevision {
				n++
			}
			if !yield(events[:n]) {
				return
			}
			events = events[n:]
		}
	}
}

// applied returns the revision of the state.
func (m *Mirror) applied() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.revision
}
