package config

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Instance is a Value in a process that reports it (WithReport).
type Instance struct {
	Lease  clientv3.LeaseID // of its session
	ID     string           // tells it from other Values of that name in one session
	Host   string
	PID    int
	Since  time.Time // when its session was opened
	Labels map[string]string

	Revision        int64  // that it runs
	Current         bool   // it runs what stands in etcd now
	Deleted         bool   // it saw that the value is gone
	Refused         string // why it refused the newest update, "" if it did not
	RefusedRevision int64
	Stopped         string // why it does not follow the value any more, "" if it does
}

// Status tells who runs which revision, and who refused what, in the order of host and process; two Values in one process are two. Reports go with their sessions, and are up to a
// second behind.
func (s *Store) Status(ctx context.Context) ([]Instance, error) {
	if s.bad != nil {
		return nil, s.wrap(s.bad)
	}
	list, err := s.instances(ctx)
	if err != nil {
		return nil, s.wrap(fmt.Errorf("status: %w", err))
	}
	return list, nil
}

func (s *Store) instances(ctx context.Context) ([]Instance, error) {
	line, err := s.place.line(statusKind)
	if err != nil {
		return nil, err
	}
	reports, err := readPrefix(ctx, s.hub, line)
	if err != nil {
		return nil, err
	}
	now, err := s.stands(ctx)
	if err != nil {
		return nil, err
	}
	current := digest(now.values)
	var list []Instance
	for _, kv := range reports.Keys {
		session, id, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), line), "/")
		lease, err := strconv.ParseInt(session, 16, 64)
		var r report
		if err == nil {
			err = json.Unmarshal(kv.Value, &r)
		}
		if err != nil {
			s.hub.Log.Warn("config skips a report that it cannot read", "name", s.place.name, "key", string(kv.Key), "error", err)
			continue
		}
		list = append(list, Instance{
			Lease: clientv3.LeaseID(lease), ID: id, Host: r.Who.Host, PID: r.Who.PID, Since: r.Who.Since, Labels: r.Who.Labels,
			Revision: r.Revision, Current: r.Digest == current && r.Refused == "", Deleted: r.Deleted,
			Refused: r.Refused, RefusedRevision: r.RefusedRevision, Stopped: r.Stopped,
		})
	}
	slices.SortFunc(list, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Lease, b.Lease), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}
