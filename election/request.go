package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
	"etcdkit/session"
)

// request is what somebody asks of the leader: the value of a key beside the line, under the asker's lease. The leader deletes it when it
// is fulfilled, with its own key if it hands over, or writes into it why not. The asker takes it away.
type request struct {
	Version int           `json:"v"`
	ID      string        `json:"id"` // tells it from another one like it
	Term    session.Token `json:"term"`
	To      string        `json:"to,omitempty"` // a candidate's ID; none asks the leader to resign
	By      string        `json:"by"`
	Refused string        `json:"refused,omitempty"` // the leader's answer
}

func (r request) String() string {
	value, err := json.Marshal(r)
	if err != nil {
		panic("election: a request is always valid JSON: " + err.Error())
	}
	return string(value)
}

// parseRequest is false for what is not a request.
func parseRequest(value []byte) (request, bool) {
	var r request
	err := json.Unmarshal(value, &r)
	return r, err == nil && r.Version > 0
}

// requestKey stands outside of the line, in which each key is a candidate.
func (e *Election) requestKey() string { return e.key + ".request" }

// serveRequests does what the term is asked to, until it ends.
func (t *Term) serveRequests() {
	e, ctx := t.election, t.Context()
	// Where it must not be read, watching it would do harm to the other watches on the stream.
	err := e.hub.Do(ctx, "read requests", func(ctx context.Context) error {
		_, err := e.hub.Client.Get(ctx, e.requestKey(), clientv3.WithKeysOnly())
		return err
	})
	if err == nil {
		err = e.until(ctx, e.hub.Holds, t.takeRequest, e.requestKey())
	}
	if err != nil && ctx.Err() == nil {
		e.hub.Log.Warn("the leader takes no requests", "election", e.name, "key", e.requestKey(), "error", err)
	}
}

// takeRequest looks for a request, and does it or refuses it. It is true when there is nothing more to look for.
func (t *Term) takeRequest(ctx context.Context) (done bool, err error) {
	var resp *clientv3.GetResponse
	err = t.election.hub.Do(ctx, "look for requests", func(ctx context.Context) (err error) {
		resp, err = t.election.hub.Client.Get(ctx, t.election.requestKey())
		return err
	})
	if err != nil || len(resp.Kvs) == 0 {
		return false, err
	}
	r, ok := parseRequest(resp.Kvs[0].Value)
	switch {
	case !ok:
		t.election.hub.Log.Warn("what stands there is no request", "key", t.election.requestKey())
		return false, nil
	case r.Refused != "":
		return false, nil
	case r.Term != t.Token():
		return false, t.refuse(ctx, resp.Kvs[0], r, "it was for another term")
	}
	cause := fmt.Errorf("%w: asked to by %s", session.ErrReleased, r.By)
	if r.To == "" {
		_ = t.giveUp(cause) // the asker sees that the leader's key is gone
		return true, nil
	}
	m, err := t.find(ctx, r.To)
	if err != nil {
		if ctx.Err() != nil || retry.Of(err) != retry.Never && !isRefusal(err) {
			return false, err
		}
		return false, t.refuse(ctx, resp.Kvs[0], r, err.Error())
	}
	if err := t.yieldTo(m, cause, fulfilled(resp.Kvs[0])); err != nil {
		working, cancel := t.working()
		defer cancel()
		_ = t.refuse(working, resp.Kvs[0], r, err.Error()) // if that fails, the asker finds who leads
	}
	return true, nil
}

// isRefusal tells whether an error is about the candidate, not about reading the line.
func isRefusal(err error) bool {
	return errors.Is(err, ErrUnknownCandidate) || errors.Is(err, ErrLeading) ||
		errors.Is(err, ErrForeignAhead) || errors.Is(err, ErrTooManyAhead)
}

// fulfilled deletes the request, unless another one has taken its place.
func fulfilled(kv *mvccpb.KeyValue) clientv3.Op {
	key := string(kv.Key)
	return clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)}, []clientv3.Op{clientv3.OpDelete(key)}, nil)
}

// refuse answers a request. The key stays under the asker's lease.
func (t *Term) refuse(ctx context.Context, kv *mvccpb.KeyValue, r request, why string) error {
	r.Refused = why
	key := string(kv.Key)
	_, err := t.election.hub.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)).
		Then(clientv3.OpPut(key, r.String(), clientv3.WithIgnoreLease())).
		Commit()
	return err
}
