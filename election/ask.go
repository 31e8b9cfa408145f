package election

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// asked is a request that stands beside the line.
type asked struct {
	request
	election *Election
	leader   string // its key
	rev      int64  // the create revision of the request's key; 0 if it is not known to be there
	epoch    hub.Epoch
	fence    int64 // the revision that the last try compared
}

// ask asks the leader to hand over to a candidate, or to resign if there is none, and waits until that is done or refused.
func (e *Election) ask(ctx context.Context, candidate string) error {
	if err := e.usable(); err != nil {
		return err
	}
	ctx, cancel := hub.Either(ctx, e.hub.Context())
	defer cancel()
	for {
		r, leader, err := e.newRequest(ctx, candidate)
		if err != nil {
			return err
		}
		a, err := e.put(ctx, r, leader)
		if err != nil {
			return err
		}
		if a == nil { // somebody else asks, or another one leads by now
			continue
		}
		err = e.until(ctx, e.hub.Lines, a.look, e.requestKey(), leader)
		a.withdraw(ctx)
		if err != nil && !errors.Is(err, ErrRefused) && retry.Of(err) == retry.Unknown {
			err = fmt.Errorf("%w: %w", session.ErrUncertain, err)
		}
		return err
	}
}

// newRequest makes a request of what is asked for, if the leader could do that now. It returns the leader's key too.
func (e *Election) newRequest(ctx context.Context, candidate string) (request, string, error) {
	line, err := claim.Standing(ctx, e.hub, e.prefix())
	switch {
	case err != nil:
		return request{}, "", err
	case len(line) == 0:
		return request{}, "", ErrNoLeader
	case foreign(line[0], e.prefix()):
		return request{}, "", fmt.Errorf("%w: %s", ErrForeignLeader, line[0].Key)
	}
	r := request{Version: 1, ID: rand.Text(), Term: line[0].Token, By: describe(e.hub.Self)}
	if candidate == "" {
		return r, line[0].Key, nil
	}
	i, err := choose(line, e.prefix(), candidate)
	if err == nil {
		_, err = moveTo(line, e.prefix(), r.Term, i)
	}
	if err != nil {
		return request{}, "", err
	}
	r.To = idOf(line[i], e.prefix())
	return r, line[0].Key, nil
}

// put puts the request beside the line. It is nil if that has to be tried anew: the leader has changed, or another request was there, and is
// gone now.
func (e *Election) put(ctx context.Context, r request, leader string) (*asked, error) {
	epoch, err := e.hub.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	a := &asked{request: r, election: e, leader: leader}
	var other *mvccpb.KeyValue
	err = e.hub.Do(ctx, "ask the leader", func(ctx context.Context) (err error) {
		other, err = a.commit(ctx, epoch)
		return err
	})
	switch {
	case err != nil && retry.Of(err) == retry.Unknown:
		a.withdrawLater() // it may be there, or may yet be
		return nil, fmt.Errorf("%w: %w", session.ErrUncertain, err)
	case err != nil:
		return nil, err
	case a.rev > 0:
		return a, nil
	case other == nil:
		return nil, nil
	}
	return nil, e.awaitOther(ctx, other)
}

// awaitOther waits until another request is gone.
func (e *Election) awaitOther(ctx context.Context, other *mvccpb.KeyValue) error {
	err := e.until(ctx, e.hub.Lines, func(ctx context.Context) (bool, error) {
		resp, err := e.hub.Client.Get(ctx, e.requestKey(), clientv3.WithKeysOnly())
		return err == nil && (len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision != other.CreateRevision), err
	}, e.requestKey())
	if err != nil {
		return fmt.Errorf("another request comes first (key %q): %w", e.requestKey(), err)
	}
	return nil
}

// commit puts the request if the leader still leads and no other request is there. It returns the one that is.
func (a *asked) commit(ctx context.Context, epoch hub.Epoch) (*mvccpb.KeyValue, error) {
	key := a.election.requestKey()
	fence, rev := a.election.hub.Fence(epoch)
	a.epoch, a.fence = epoch, rev
	put := clientv3.OpPut(key, a.String(), clientv3.WithLease(epoch.ID()))
	resp, err := a.election.hub.Client.Txn(ctx).
		If(a.leads(), fence, clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(put).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return nil, err
	}
	if resp.Succeeded {
		a.rev = resp.Header.Revision
		return nil, nil
	}
	kvs := resp.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 { // the leader has changed, or the fence
		return nil, a.election.hub.Refence(ctx, epoch, rev)
	}
	if a.is(kvs[0].Value) { // an earlier try, whose answer was lost
		a.rev = kvs[0].CreateRevision
		return nil, nil
	}
	if other, ok := parseRequest(kvs[0].Value); !ok || other.Refused == "" && other.Term == a.Term {
		return kvs[0], nil
	}
	// What stands there is answered, or came too late for its leader: nobody will do anything about it.
	resp, err = a.election.hub.Client.Txn(ctx).
		If(a.leads(), fence, clientv3.Compare(clientv3.ModRevision(key), "=", kvs[0].ModRevision)).
		Then(put).
		Commit()
	if err == nil && resp.Succeeded {
		a.rev = kvs[0].CreateRevision
	}
	return nil, err
}

// leads is true as long as the leader leads who was asked.
func (a *asked) leads() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(a.leader), "=", int64(a.Term))
}

// is tells whether a value is this very request, answered or not.
func (a *asked) is(value []byte) bool {
	r, ok := parseRequest(value)
	return ok && r.ID == a.ID
}

// look is done when it is known what became of the request.
func (a *asked) look(ctx context.Context) (done bool, err error) {
	var resp *clientv3.TxnResponse
	err = a.election.hub.Do(ctx, "look for an answer", func(ctx context.Context) (err error) {
		resp, err = a.election.hub.Client.Txn(ctx).
			Then(clientv3.OpGet(a.election.requestKey()), clientv3.OpGet(a.leader, clientv3.WithKeysOnly())).
			Commit()
		return err
	})
	if err != nil {
		return false, err
	}
	var mine, leader *mvccpb.KeyValue
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 && a.is(kvs[0].Value) {
		mine = kvs[0]
	}
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 && kvs[0].CreateRevision == int64(a.Term) {
		leader = kvs[0]
	}
	return a.judge(ctx, mine, leader)
}

// judge is look, when the two keys were read: nil for one that is gone.
func (a *asked) judge(ctx context.Context, mine, leader *mvccpb.KeyValue) (done bool, err error) {
	if mine != nil {
		if r, _ := parseRequest(mine.Value); r.Refused != "" {
			return true, fmt.Errorf("%w: %s", ErrRefused, r.Refused)
		}
	}
	switch {
	case leader != nil && mine != nil:
		return false, nil
	case leader != nil:
		return true, errors.New("the request was deleted before it was answered")
	case a.To == "", mine == nil && a.epoch.Err() == nil: // nobody but the leader has deleted the request
		return true, nil
	}
	// The term has ended, and nobody has answered: it was lost or resigned at the same moment.
	head, ok, err := claim.Head(ctx, a.election.hub, a.election.prefix())
	switch {
	case err != nil:
		return false, err
	case ok && head.Key == a.election.prefix()+a.To:
		return true, nil
	}
	if mine == nil {
		return true, fmt.Errorf("%w: the request is gone, and so is the leader who was asked", session.ErrUncertain)
	}
	return true, fmt.Errorf("%w: the term ended in another way", ErrRefused)
}

// withdraw takes the request away.
func (a *asked) withdraw(ctx context.Context) {
	ctx, cancel := a.election.hub.ReleaseContext(ctx, time.Now().Add(a.election.hub.Grace))
	defer cancel()
	if a.remove(ctx) != nil {
		a.withdrawLater()
	}
}

func (a *asked) withdrawLater() {
	a.election.hub.CleanUp("a request to the leader of "+a.election.key, a.remove)
}

// remove deletes the request if it is there. If nobody knows whether it was put, the fence sees to it that it will not be.
func (a *asked) remove(ctx context.Context) error {
	key := a.election.requestKey()
	if a.rev == 0 {
		err := a.election.hub.Refence(ctx, a.epoch, a.fence)
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil // nothing can be put under it any more
		}
		if err != nil {
			return err
		}
	}
	resp, err := a.election.hub.Client.Get(ctx, key)
	if err != nil || len(resp.Kvs) == 0 || !a.is(resp.Kvs[0].Value) {
		return err
	}
	_, err = a.election.hub.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", resp.Kvs[0].CreateRevision)).
		Then(clientv3.OpDelete(key)).
		Commit()
	return err
}
