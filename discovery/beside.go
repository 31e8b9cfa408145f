package discovery

import (
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
)

// aside is what is known of etcd's own record beside the kit's (WithEndpoints).
type aside struct {
	mod   int64            // its revision; zero if it is not there
	at    int64            // the revision at which that was so
	text  string           // its value
	lease clientv3.LeaseID // that it is under
	taken *TakenError      // nil unless it is somebody else's, which is neither written over nor deleted
}

// adoptBeside takes note of what was read of etcd's own record at a revision. That it is somebody else's is an error of Register; later the kit's
// record is kept up all the same.
func (r *Registration) adoptBeside(kvs []*mvccpb.KeyValue, at int64) error {
	r.stood.beside = aside{at: at}
	if len(kvs) == 0 {
		return nil
	}
	known, kv := &r.stood.beside, kvs[0]
	known.mod, known.text, known.lease = kv.ModRevision, string(kv.Value), clientv3.LeaseID(kv.Lease)
	if slices.Contains(r.leases, known.lease) || !r.had && r.opts.takeover {
		return nil
	}
	known.taken = &TakenError{ID: r.id, Key: r.beside, Lease: known.lease}
	if rec, err := decodeEndpoint(r.id, kv.Value); err == nil {
		known.taken.Addr = rec.Addr
	}
	if !r.had {
		return known.taken
	}
	return nil
}

// also is what a write compares and does about etcd's own record, which knows no states, and what is known of it afterwards.
func (r *Registration) also(lease clientv3.LeaseID, rec *record) (all []clientv3.Cmp, then []clientv3.Op, after aside, err error) {
	known := r.stood.beside
	if r.beside == "" || known.taken != nil {
		return nil, nil, known, nil
	}
	all = []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(r.beside), "=", known.mod)} // zero where it is not there
	switch {
	case rec.State == serving:
		after.lease = lease
		after.text, err = encodeEndpoint(&rec.Instance)
		then = []clientv3.Op{clientv3.OpPut(r.beside, after.text, clientv3.WithLease(lease))}
	case known.mod != 0:
		then = []clientv3.Op{clientv3.OpDelete(r.beside)}
	}
	return all, then, after, err
}

// happened makes it what is known after a write at a revision.
func (a aside) happened(revision int64) aside {
	if a.taken != nil {
		return a // it was not touched
	}
	a.at = revision
	if a.text != "" {
		a.mod = revision
	}
	return a
}

// fits tells whether etcd's own record is as it should be. It is an error if it cannot be, because it is somebody else's.
func (r *Registration) fits(epoch hub.Epoch, rec *record) (bool, error) {
	known := r.stood.beside
	switch {
	case r.beside == "":
		return true, nil
	case rec.State != serving:
		return known.mod == 0 || known.taken != nil, nil
	case known.taken != nil:
		return false, known.taken
	}
	text, err := encodeEndpoint(&rec.Instance)
	return known.mod != 0 && known.lease == epoch.ID() && known.text == text, err
}

// gets reads all that a registration writes.
func (r *Registration) gets() []clientv3.Op {
	ops := []clientv3.Op{clientv3.OpGet(r.key)}
	if r.beside != "" {
		ops = append(ops, clientv3.OpGet(r.beside))
	}
	return ops
}

// clearings delete etcd's own record if it is under a lease of ours.
func (r *Registration) clearings() (ops []clientv3.Op) {
	if r.beside == "" {
		return nil
	}
	for _, lease := range r.leases {
		ours := []clientv3.Cmp{clientv3.Compare(clientv3.LeaseValue(r.beside), "=", lease)}
		ops = append(ops, clientv3.OpTxn(ours, []clientv3.Op{clientv3.OpDelete(r.beside)}, nil))
	}
	return ops
}
