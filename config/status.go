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

// Instance is a process that runs a value and reports it (WithReport).
type Instance struct {
	Lease  clientv3.LeaseID // of its session
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

// Status tells who runs which revision, and who refused what, in the order of host and process. Reports go with their sessions, and are up to a
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
	line, err := s.hub.Keys.Line(statusKind, s.place.name)
	if err != nil {
		return nil, err
	}
	reports, err := readPages(ctx, s.hub, line+"/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	values, _, err := s.readAll(ctx)
	if err != nil {
		return nil, err
	}
	current := digest(values)
	var list []Instance
	for _, kv := range reports.kvs {
		lease, err := strconv.ParseInt(strings.TrimPrefix(string(kv.Key), line+"/"), 16, 64)
		var r report
		if err == nil {
			err = json.Unmarshal(kv.Value, &r)
		}
		if err != nil {
			s.hub.Log.Warn("config skips a report that it cannot read", "name", s.place.name, "key", string(kv.Key), "error", err)
			continue
		}
		list = append(list, Instance{
			Lease: clientv3.LeaseID(lease), Host: r.Who.Host, PID: r.Who.PID, Since: r.Who.Since, Labels: r.Who.Labels,
			Revision: r.Revision, Current: r.Digest == current && r.Refused == "", Deleted: r.Deleted,
			Refused: r.Refused, RefusedRevision: r.RefusedRevision, Stopped: r.Stopped,
		})
	}
	slices.SortFunc(list, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Lease, b.Lease))
	})
	return list, nil
}
