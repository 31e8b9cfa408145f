package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Deregister takes the instance out. First its record says that it is leaving, so that watchers can tell that from a loss, then it is deleted. It waits
// for the answer as long as ctx lives, and if ctx is over already, which is usual in a defer, for a second (session.WithGrace).
//
// It returns nil when the deletion is acknowledged, when it is called again, and after the session was closed, which does the same. With
// session.ErrUncertain the instance may still stand there: because no answer came, and then the deletion is tried again in the background until the session
// closes; or because etcd refuses it, and the error tells why. At the latest the instance goes with the lease.
func (r *Registration) Deregister(ctx context.Context) error {
	ctx, cancel := r.hub.ReleaseContext(ctx, r.deadline())
	defer cancel()
	if !r.end(session.ErrReleased) {
		select {
		case <-r.left:
			return nil
		case <-ctx.Done():
			return wrap(r.service, fmt.Errorf("deregister %q: %w: %w", r.id, session.ErrUncertain, context.Cause(ctx)))
		}
	}
	defer close(r.left)
	r.undo()
	r.group.Wait() // what they do obeys their ctx, which has ended
	return wrap(r.service, r.leave(ctx))
}

// deadline is when the lease will have done the work, at the latest as far as is known. An epoch that is over says nothing: the lease may be alive.
func (r *Registration) deadline() time.Time {
	r.mu.Lock()
	epoch := r.epoch
	r.mu.Unlock()
	if epoch == nil || epoch.Err() != nil {
		return time.Now().Add(r.hub.TTL)
	}
	return epoch.Deadline()
}

// end ends the goroutines. It is true for the first caller, who has to wait for them, to let go of the key and to close left.
func (r *Registration) end(why error) bool {
	r.mu.Lock()
	first := !r.ended
	if first {
		r.ended, r.why = true, why
		r.tellLocked()
	}
	r.mu.Unlock()
	if first {
		r.cancel(why)
	}
	return first
}

// abandon is the end of a registration that did not come about, because of err. It returns the error of that.
func (r *Registration) abandon(err error) error {
	if !r.end(err) { // the session is being closed, and bye does all this
		<-r.left
		return err
	}
	defer close(r.left)
	r.undo()
	r.group.Wait()
	r.disclaim()
	if r.stood.mod == 0 && r.stood.doubt == nil {
		r.vacate()
		return err
	}
	r.leaveLater()
	return fmt.Errorf("%w: %w", session.ErrUncertain, err)
}

// disclaim lets be what the ID was to be taken over from.
func (r *Registration) disclaim() {
	if !r.isMine(r.stood.lease) {
		r.stood.mod = 0
	}
}

// leave deletes the key, and leaves that to the janitor if no answer comes.
func (r *Registration) leave(ctx context.Context) error {
	marked := false
	err := r.hub.Do(ctx, "discovery deregister", func(ctx context.Context) error { return r.remove(ctx, &marked) })
	if err == nil {
		r.vacate()
		return nil
	}
	r.leaveLater()
	return fmt.Errorf("deregister %q: %w: %w", r.id, session.ErrUncertain, err)
}

func (r *Registration) leaveLater() {
	marked := false
	var patience retry.Patience
	r.hub.CleanUp(fmt.Sprintf("instance %q of service %q", r.id, r.service), func(ctx context.Context) error {
		try, cancel := patience.Try(ctx)
		defer cancel()
		err := r.remove(try, &marked)
		if r.stood.epoch != nil && r.stood.epoch.Err() != nil && retry.Of(err) == retry.Never {
			err = nil // nor can the lease be renewed without that right, and the key goes with it
		}
		if err == nil {
			r.vacate()
		}
		return err
	})
}

// remove leaves nothing of ours, now or later. Sent again it goes on where it was.
func (r *Registration) remove(ctx context.Context, marked *bool) error {
	for {
		if err := r.ascertain(ctx); err != nil {
			return err
		}
		if r.stood.mod == 0 {
			return r.removeBeside(ctx)
		}
		if err := r.advance(ctx, marked); err != nil {
			r.suspect()
			return err
		}
	}
}

// ascertain makes sure of what stands there, and that nothing of ours can come any more.
func (r *Registration) ascertain(ctx context.Context) error {
	if d := r.stood.doubt; d != nil {
		err := r.hub.Refence(ctx, d.epoch, d.fence)
		if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return err
		}
		r.stood.doubt = nil
		r.suspect()
	}
	r.mu.Lock()
	sure := !r.distrust
	r.mu.Unlock()
	if sure {
		return nil
	}
	resp, err := r.hub.Client.Get(ctx, r.key)
	if err != nil {
		return err
	}
	r.learn(resp.Kvs)
	return nil
}

// learn is adopt for who lets go: what is somebody else's does not matter.
func (r *Registration) learn(kvs []*mvccpb.KeyValue) {
	r.mu.Lock()
	r.distrust = false
	r.mu.Unlock()
	r.stood.mod = 0
	if len(kvs) > 0 && r.isMine(clientv3.LeaseID(kvs[0].Lease)) {
		r.stood.mod = kvs[0].ModRevision
	}
}

// advance marks the record as leaving, or if that is done deletes it.
func (r *Registration) advance(ctx context.Context, marked *bool) error {
	ops := []clientv3.Op{clientv3.OpDelete(r.key)}
	if !*marked {
		rec := &record{Format: 1, Instance: r.Instance(), State: leaving, TTL: int64(r.hub.TTL / time.Second)}
		text, err := rec.encode()
		if err != nil {
			return err
		}
		ops[0] = clientv3.OpPut(r.key, text, clientv3.WithIgnoreLease())
	}
	resp, err := r.hub.Client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(r.key), "=", r.stood.mod)).
		Then(append(ops, r.clearings()...)...).Else(clientv3.OpGet(r.key)).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace) && !*marked:
		*marked = true // a full store still deletes
		r.suspect()
		return nil
	case err != nil:
		return err
	case !resp.Succeeded:
		r.learn((*pb.RangeResponse)(resp.Responses[0].GetResponseRange()).Kvs)
	case *marked:
		r.stood.mod = 0
	default:
		*marked, r.stood.mod = true, resp.Header.Revision
	}
	return nil
}

// removeBeside deletes etcd's own record where the kit's is gone already.
func (r *Registration) removeBeside(ctx context.Context) error {
	ops := r.clearings()
	if len(ops) == 0 {
		return nil
	}
	_, err := r.hub.Client.Txn(ctx).Then(ops...).Commit()
	return err
}

// bye marks the instance as leaving before the session revokes its lease.
func (r *Registration) bye(ctx context.Context) {
	if !r.end(session.ErrClosed) {
		return
	}
	defer close(r.left)
	defer r.vacate()
	r.group.Wait()
	r.disclaim()
	marked := false
	_ = r.hub.Do(ctx, "discovery says that an instance is leaving", func(ctx context.Context) error { // else it looks like a loss
		for !marked {
			if err := r.ascertain(ctx); err != nil || r.stood.mod == 0 {
				return err
			}
			if err := r.advance(ctx, &marked); err != nil {
				r.suspect()
				return err
			}
		}
		return nil
	})
}
