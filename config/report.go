package config

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
)

// reportEvery is how often a process reports at most: a value that changes a hundred times a second, in a thousand processes, must not
// drown etcd in reports.
const reportEvery = time.Second

// maxReason bounds how much of an error is reported.
const maxReason = 1 << 10

// report is what a process says of the value that it runs.
type report struct {
	Format          int      `json:"v"`
	Revision        int64    `json:"revision"`
	Digest          string   `json:"digest"` // of what the value was made from
	Deleted         bool     `json:"deleted,omitempty"`
	Refused         string   `json:"refused,omitempty"` // why the newest update was
	RefusedRevision int64    `json:"refused_revision,omitempty"`
	Stopped         string   `json:"stopped,omitempty"` // why the value is not followed any more
	Who             hub.Info `json:"who"`
}

// newReport tells of a view, and of the end of the following if that has come.
func newReport(v *view, end error, who hub.Info) report {
	r := report{Format: 1, Revision: v.revision, Digest: digest(v.raw), Deleted: v.deleted, Who: who}
	if v.refused != nil {
		r.Refused, r.RefusedRevision = short(v.refused.Err), v.refused.Revision
	}
	if end != nil {
		r.Stopped = short(end)
	}
	return r
}

func short(err error) string {
	text := err.Error()
	if len(text) > maxReason {
		text = text[:maxReason] + "..."
	}
	return text
}

func (r report) String() string {
	data, err := json.Marshal(r)
	if err != nil {
		panic("config: a report is always valid JSON: " + err.Error())
	}
	return string(data)
}

// digest tells two states of a value apart.
func digest(raw map[string][]byte) string {
	sum := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(raw)) {
		for _, part := range [][]byte{[]byte(path), raw[path]} {
			sum.Write(binary.AppendUvarint(nil, uint64(len(part))))
			sum.Write(part)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// report keeps the report of this process up with the value until ctx ends, under one lease after the other.
func (f *follower) report(ctx context.Context) {
	pause := retry.Backoff{Max: 30 * time.Second} // what is missing is most likely a permission
	told := false
	for {
		epoch, err := f.hub.Epoch(ctx)
		if err == nil {
			err = f.reportUnder(ctx, epoch)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && !told {
			f.hub.Log.Warn("config cannot report, and will try again", "name", f.name, "error", err)
		}
		if told = err != nil; !told {
			pause.Reset()
		}
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// reportUnder reports under one lease, until that is lost.
func (f *follower) reportUnder(ctx context.Context, epoch hub.Epoch) error {
	line, err := f.hub.Keys.Line(statusKind, f.name)
	if err != nil {
		return err
	}
	key := line + "/" + strconv.FormatInt(int64(epoch.ID()), 16)
	living, cancel := hub.Either(ctx, epoch.Context())
	defer cancel()

	var last *view
	var mine int64 // the revision of the last report; zero while it is not known
	for {
		now, end := f.await(living, last)
		if living.Err() != nil {
			break
		}
		if end != nil {
			now = f.newest()
		}
		mine = 0
		text := newReport(now, end, f.hub.Self).String()
		err = f.hub.Do(living, "config report", func(ctx context.Context) error {
			resp, err := f.hub.Client.Put(ctx, key, text, clientv3.WithLease(epoch.ID()))
			if err == nil {
				mine = resp.Header.Revision
			}
			return err
		})
		if err != nil {
			break
		}
		last = now
		if end != nil {
			<-living.Done()
		}
		rest(living, reportEvery)
	}
	if errors.Is(context.Cause(ctx), ErrClosed) && epoch.Err() == nil { // else the lease does it
		f.withdraw(ctx, epoch, key, mine)
	}
	if living.Err() != nil {
		return nil
	}
	return err
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// withdraw deletes a report, unless it is known that another Value of that name has written since.
func (f *follower) withdraw(ctx context.Context, epoch hub.Epoch, key string, mine int64) {
	ctx, cancel := f.hub.ReleaseContext(ctx, epoch.Deadline())
	defer cancel()
	withdraw := func(ctx context.Context) error {
		var still []clientv3.Cmp
		if mine != 0 {
			still = append(still, clientv3.Compare(clientv3.ModRevision(key), "=", mine))
		}
		_, err := f.hub.Client.Txn(ctx).If(still...).Then(clientv3.OpDelete(key)).Commit()
		if errors.Is(err, rpctypes.ErrPermissionDenied) {
			return nil // the lease will
		}
		return err
	}
	if f.hub.Do(ctx, "config withdraws its report", withdraw) != nil {
		f.hub.CleanUp("report of config "+f.name, withdraw)
	}
}
