package claim

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// A stake is a key of ours that holds. All who hold by it share it: one, or, if the rule lets them, more.
type stake struct {
	line  *Line
	epoch hub.Epoch
	rule  Rule
	key   string
	rev   int64 // the key's create revision

	ctx    context.Context // ends when the key may no longer hold
	cancel context.CancelCauseFunc
	stop   func() bool   // of the function that acts on a loss
	timer  *time.Timer   // that begins to watch the key
	pen    chan struct{} // holds a token while the key's value is written anew

	touchable bool // somebody else may write the key anew as it is

	holders int  // protected by the line's mutex
	aside   bool // the line goes on without it; protected by the line's mutex as long as there are holders

	mu    sync.Mutex // protects what follows
	mod   int64      // the key's modification revision, as far as is known
	doubt bool       // a write with an unknown outcome may have changed it, or may yet
	given bool       // a transfer with an unknown outcome may have deleted it
}

// watchAfter is the age from which a hold watches its own key. Most holds are shorter, and cost nothing.
const watchAfter = 100 * time.Millisecond

// hold makes the front the holder with its entry. It returns nil if the epoch is over; the entry stays then.
func (f *front) hold(ctx context.Context, e hub.Epoch, asked time.Time) *Held {
	if e.Err() != nil {
		return nil
	}
	s := &stake{
		line: f.Line, epoch: e, rule: f.claim.Rule, key: f.entry.key, rev: f.entry.rev,
		pen: make(chan struct{}, 1), holders: 1, mod: max(f.entry.rev, f.entry.mod),
	}
	_, s.touchable = s.rule.(rouser)
	s.ctx, s.cancel = context.WithCancelCause(e.Context())
	f.reopen() // until the stake passes the line on
	f.mu.Lock()
	f.stake = s
	f.shareLocked(s)
	f.mu.Unlock()
	s.timer = time.AfterFunc(watchAfter, func() { f.hub.Go(s.watch) })
	s.stop = context.AfterFunc(s.ctx, s.lost)
	return s.held(ctx, asked)
}

// sharesLocked tells whether others of the session can hold by the key too.
func (s *stake) sharesLocked() bool { return s.rule.shares() && s.holders > 0 }

// leave is one holder less. It is true if that was the last.
func (s *stake) leave() bool {
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	s.holders--
	return s.holders == 0
}

// finish ends what goes on for the key, before its release. It is false if the key was lost.
func (s *stake) finish() bool {
	s.timer.Stop()
	if !s.stop() {
		return false
	}
	s.cancel(session.ErrReleased)
	return true
}

// lost runs when the key was lost before its release: the line goes on without it. The key, if it is still there, is deleted before anybody
// here is granted the line.
func (s *stake) lost() {
	s.timer.Stop()
	cause, aside := context.Cause(s.ctx), s.steppedAside()
	closed := errors.Is(cause, session.ErrClosed) // the lease is being revoked, and the key with it
	if !closed {
		s.line.hub.Log.Warn("lost a claim", "key", s.key, "error", cause)
	}
	switch {
	case aside && closed:
		s.line.close()
	case aside:
		s.line.removeLater(s.remains())
	case closed:
		s.pass(turn{})
	default:
		s.pass(turn{debt: s.remains()})
	}
}

// missing is nil if it is known why the key was not there any more when it was to be deleted, or it was.
func (s *stake) missing(sure bool) error {
	if sure {
		return nil
	}
	if err := s.epoch.Err(); err != nil { // the lease went, and the key with it
		return err
	}
	return &session.LostError{Reason: session.Deleted}
}

// pass ends the stake: the line goes on.
func (s *stake) pass(t turn) {
	s.line.pass(t)
	s.line.close()
}

// watch ends the stake when somebody else deletes its key.
func (s *stake) watch(context.Context) {
	var pause retry.Backoff
	for s.ctx.Err() == nil {
		gone, err := s.watchOnce()
		if gone {
			s.gone()
			return
		}
		s.line.hub.Log.Debug("the watch of a held key ended; opening another", "key", s.key, "error", err)
		if pause.Wait(s.ctx) != nil {
			return
		}
	}
}

// gone ends the stake: its key was not there.
func (s *stake) gone() {
	s.cancel(&session.LostError{Reason: session.Deleted})
	s.line.hub.Suspect() // perhaps the whole lease is gone
}

// isIn tells whether a read of the key found the very one.
func (s *stake) isIn(kvs []*mvccpb.KeyValue) bool {
	return len(kvs) > 0 && kvs[0].CreateRevision == s.rev
}

// watchOnce is true if the key is seen to be gone.
func (s *stake) watchOnce() (bool, error) {
	hub := s.line.hub
	ctx, cancel := hub.Lasting(s.ctx)
	defer cancel()
	w, err := hub.Holds.Watch(ctx, hub.Client, s.key, clientv3.WithFilterPut())
	if err != nil {
		return false, err
	}
	resp, err := hub.Client.Get(s.ctx, s.key, clientv3.WithKeysOnly())
	if err != nil {
		return false, err
	}
	if !s.isIn(resp.Kvs) {
		return true, nil
	}
	err = awaitEvent(s.ctx, w, untilDeleted(s.key, s.rev).passed)
	return err == nil, err
}
