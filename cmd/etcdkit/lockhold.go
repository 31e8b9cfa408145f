package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"

	"etcdkit/lock"
	"etcdkit/session"
)

// work runs the command under the lock, and returns how that ended. stop ends what listened to signals so far: no signal falls between
// the two.
func (r *lockRun) work(name string, hold *lock.Hold, k *task, stop func()) error {
	signals := listen(slices.Concat(enders, messages)...)
	defer signal.Stop(signals)
	stop()
	end := k.supervise(hold, environment(name, hold), signals)
	if end.lost {
		return &statusError{status: statusLost} // told when it happened
	}
	if err := hold.Err(); err != nil {
		return &statusError{statusLost, err}
	}
	return end.err
}

// holdOn holds the lock until a signal comes, which is how that is meant to end, or the lock is lost.
func (r *lockRun) holdOn(ctx context.Context, name string, hold *lock.Hold) error {
	result := struct {
		Lock  string        `json:"lock"`
		Key   string        `json:"key"`
		Token session.Token `json:"token"`
	}{name, keyOf(hold), hold.Token()}
	err := r.print(r.cmd, result, func() error {
		_, err := fmt.Fprintln(r.cmd.OutOrStdout(), result.Key)
		return err
	})
	if err != nil {
		return err
	}
	notef(r.cmd, "%s %q is held, token %d; Ctrl-C lets go of it", r.noun(), name, hold.Token())
	select {
	case <-ctx.Done():
		return nil
	case <-hold.Context().Done():
		return &statusError{statusLost, hold.Err()}
	}
}

// release lets go of the lock. err is how the command ended, which is the result as long as the lock was not lost before.
func (r *lockRun) release(hold *lock.Hold, err error) error {
	ctx, cancel := r.conn.request(context.Background())
	defer cancel()
	failed := hold.Unlock(ctx)
	var own *statusError
	switch {
	case failed == nil, errors.As(err, &own) && own.status == statusLost: // that has been told
		return err
	case errors.Is(failed, session.ErrLost):
		return &statusError{statusLost, failed}
	}
	notef(r.cmd, "%s; it is free when the TTL has run out", r.errorLine(failed))
	return err
}

// environment tells the command what it holds, in our words and in etcdctl's.
func environment(name string, hold *lock.Hold) []string {
	token := fmt.Sprint(hold.Token())
	return []string{"ETCDKIT_LOCK=" + name, "ETCDKIT_TOKEN=" + token, "ETCD_LOCK_KEY=" + keyOf(hold), "ETCD_LOCK_REV=" + token}
}

// keyOf is the hold's key: the guard compares it.
func keyOf(hold *lock.Hold) string {
	guard := hold.Guard()
	return string(guard.KeyBytes())
}
