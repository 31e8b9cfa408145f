package claim

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/keyspace"
	"etcdkit/session"
)

// ErrEmpty says that no key stands in a line.
var ErrEmpty = errors.New("nobody is in line")

// Break deletes the key at the head of the line, under its create revision, and tells whose it was. ErrEmpty if there is none, or if
// it was gone when the deletion came.
func Break(ctx context.Context, h *hub.Hub, prefix string) (Owner, error) {
	owners, err := Owners(ctx, h, prefix)
	if err != nil {
		return Owner{}, err
	}
	if len(owners) == 0 {
		return Owner{}, ErrEmpty
	}
	head, doubt := owners[0], false
	err = h.Do(ctx, "break "+prefix, func(ctx context.Context) error {
		resp, err := h.Client.Txn(ctx).
			If(present(head.Key, int64(head.Token))).
			Then(clientv3.OpDelete(head.Key)).
			Commit()
		if err != nil {
			doubt = true // the next try may find that this one happened
			return err
		}
		if !resp.Succeeded && !doubt {
			head, owners = Owner{}, nil
		}
		return nil
	})
	if err == nil && owners == nil {
		err = ErrEmpty
	}
	return head, err
}

// A Group is one line that List found.
type Group struct {
	Name    string
	Head    Owner
	Keys    int
	Readers int // of the keys, those that are shared with the head and hold beside it, the head being one of them

	reads  []session.Token // all shared keys
	writer session.Token   // the oldest of the others; 0 if there is none
}

// add takes in one more key of the line.
func (g *Group) add(o Owner) {
	g.Keys++
	if g.Keys == 1 || o.Token < g.Head.Token {
		g.Head = o
	}
	if o.Reads() {
		g.reads = append(g.reads, o.Token)
	} else if g.writer == 0 || o.Token < g.writer {
		g.writer = o.Token
	}
}

// count counts the readers, when all keys are known.
func (g *Group) count() {
	for _, token := range g.reads {
		if g.writer == 0 || token < g.writer {
			g.Readers++
		}
	}
	g.reads = nil
}

// page is how many keys one read of List asks for.
const page = 1000

// List returns the lines of a kind that are not empty, in the order of their names. Keys that are spelled otherwise are left out.
func List(ctx context.Context, h *hub.Hub, kind string) ([]Group, error) {
	byName := make(map[string]int)
	var groups []Group
	add := func(kv *mvccpb.KeyValue) {
		name, slot, ok := h.Keys.Parse(kind, string(kv.Key))
		if !ok || slot == "" {
			return
		}
		i, known := byName[name]
		if !known {
			i = len(groups)
			byName[name] = i
			groups = append(groups, Group{Name: name})
		}
		groups[i].add(newOwner(kv, true))
	}
	if err := walk(ctx, h, h.Keys.Kind(kind), add); err != nil {
		return nil, err
	}
	for i := range groups {
		groups[i].count()
	}
	slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) }) // the keys' order has "a/b" before "a/@"
	return groups, introduceHeads(ctx, h, groups)
}

// walk reads all keys under prefix, in pages at one revision.
func walk(ctx context.Context, h *hub.Hub, prefix string, visit func(*mvccpb.KeyValue)) error {
	from, end, rev := prefix, keyspace.End(prefix), int64(0)
	for {
		var resp *clientv3.GetResponse
		err := h.Do(ctx, "list "+prefix, func(ctx context.Context) (err error) {
			resp, err = h.Client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(rev))
			return err
		})
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			visit(kv)
		}
		if !resp.More {
			return nil
		}
		from, rev = string(resp.Kvs[len(resp.Kvs)-1].Key)+"\x00", resp.Header.Revision
	}
}

// introduceHeads adds what the sessions of the heads say of themselves.
func introduceHeads(ctx context.Context, h *hub.Hub, groups []Group) error {
	heads := make([]Owner, len(groups))
	for i, g := range groups {
		heads[i] = g.Head
	}
	err := introduce(ctx, h, heads)
	for i := range groups {
		groups[i].Head = heads[i]
	}
	return err
}
