package main

import (
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// party is who holds something or waits for it, in JSON output: its token and lease, and what its session says of itself.
type party struct {
	Token  session.Token     `json:"token,omitempty"`
	Lease  string            `json:"lease"`
	Host   string            `json:"host,omitempty"`
	PID    int               `json:"pid,omitempty"`
	Since  string            `json:"session_since,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`

	since time.Time // the same as Since
}

func describeParty(token session.Token, lease clientv3.LeaseID, host string, pid int, since time.Time, labels map[string]string) party {
	p := party{Token: token, Lease: fmt.Sprintf("%x", int64(lease)), Host: host, PID: pid, Labels: labels, since: since}
	if !since.IsZero() {
		p.Since = since.Format(timeFormat)
	}
	return p
}
