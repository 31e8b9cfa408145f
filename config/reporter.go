package config

import (
	"context"
	"errors"
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

// report keeps the report of this value up with it until ctx ends, under one lease after the other.
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
	line, err := f.place.line(statusKind)
	if err != nil {
		return err
	}
	r := &reporter{follower: f, epoch: epoch, key: line + strconv.FormatInt(int64(epoch.ID()), 16) + "/" + f.id}
	living, cancel := hub.Either(ctx, epoch.Context())
	defer cancel()

	err = r.run(living)
	if errors.Is(context.Cause(ctx), ErrClosed) && epoch.Err() == nil { // else the lease does it
		r.withdraw(ctx)
	}
	if living.Err() != nil {
		return nil
	}
	return err
}

// reporter is what reports under one lease. Each put compares the session key (hub.Fence), so that one without an answer can be made void.
type reporter struct {
	*follower
	epoch hub.Epoch
	key   string
	fence int64 // that the last put compared
	open  bool  // a put had no answer, and may come yet
}

// run reports one view after the other until ctx ends.
func (r *reporter) run(ctx context.Context) error {
	var last *view
	told := ""
	for {
		now, end := r.await(ctx, last)
		if ctx.Err() != nil {
			return nil
		}
		if end != nil {
			now = r.newest()
		}
		last = now
		text := newReport(now, end, r.hub.Self).String()
		if text != told { // else it is only stale, or in step again
			if err := r.put(ctx, text); err != nil {
				return err
			}
			told = text
			_ = retry.Pause(ctx, reportEvery) // the loop sees its end
		}
		if end != nil {
			<-ctx.Done()
		}
	}
}

// put puts a report. One before it that had no answer must not come after it.
func (r *reporter) put(ctx context.Context, text string) error {
	return r.hub.Do(ctx, "config report", func(ctx context.Context) error {
		for {
			if err := r.settle(ctx); err != nil {
				return err
			}
			fence, rev := r.hub.Fence(r.epoch)
			r.fence, r.open = rev, true
			resp, err := r.hub.Client.Txn(ctx).If(fence).Then(clientv3.OpPut(r.key, text, clientv3.WithLease(r.epoch.ID()))).Commit()
			r.open = retry.Of(err) == retry.Unknown
			switch {
			case err != nil:
				return err
			case resp.Succeeded:
				return nil
			}
			r.open = true // the session key was written again, or deleted: once it is there, it is compared anew
		}
	})
}

// settle sees to it that no put without an answer comes any more.
func (r *reporter) settle(ctx context.Context) error {
	if !r.open {
		return nil
	}
	if err := r.hub.Refence(ctx, r.epoch, r.fence); err != nil {
		return err
	}
	r.open = false
	return nil
}

// withdraw deletes the report.
func (r *reporter) withdraw(ctx context.Context) {
	ctx, cancel := r.hub.ReleaseContext(ctx, r.epoch.Deadline())
	defer cancel()
	withdraw := func(ctx context.Context) error {
		err := r.settle(ctx)
		if err == nil {
			_, err = r.hub.Client.Delete(ctx, r.key)
		}
		if errors.Is(err, rpctypes.ErrLeaseNotFound) || errors.Is(err, rpctypes.ErrPermissionDenied) {
			return nil // the lease has done it, or will
		}
		return err
	}
	if r.hub.Do(ctx, "config withdraws its report", withdraw) != nil {
		r.hub.CleanUp("report of config "+r.name, withdraw)
	}
}
