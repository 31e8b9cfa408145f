package mirror

import (
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"etcdkit/internal/retry"
)

// ErrRewound says that the cluster's history is not the one that was seen before: it was restored from a backup, or it is another
// cluster. Nothing that was derived from the old one can be trusted.
var ErrRewound = errors.New("the history of the cluster was rewound")

var (
	errNoAnswer = fmt.Errorf("no answer within %v", patience)
	errSilent   = fmt.Errorf("the watch was silent for %v", patience)
	errClosed   = errors.New("closed without a word")
)

// finalError ends the mirror; any other error is tried again.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// readError judges the error of a read: what will never succeed is the end. The error of a watch is never the last word, since it
// can be a sibling's, or lost; the read that follows is.
func readError(err error) error {
	if retry.Of(err) == retry.Never && !errors.Is(err, rpctypes.ErrCompacted) {
		return finalError{err}
	}
	return err
}

// lineage is the cluster whose history is followed. Its id is zero until the first list.
type lineage struct{ id uint64 }

// check compares the header of a response with what is known. A read that was begun after the revision known was seen can be no
// older: reads are linearizable. Responses of watches can: pass zero for known there.
func (l *lineage) check(h *etcdserverpb.ResponseHeader, known int64) error {
	if l.id != 0 && h.GetClusterId() != l.id {
		return finalError{fmt.Errorf("%w: cluster %x answers instead of %x", ErrRewound, h.GetClusterId(), l.id)}
	}
	if h.GetRevision() < known {
		return finalError{fmt.Errorf("%w: from revision %d to %d", ErrRewound, known, h.GetRevision())}
	}
	return nil
}
