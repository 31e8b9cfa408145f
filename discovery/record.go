package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// state is what a record says of its instance beyond what it is. The empty one takes requests.
type state string

const (
	serving   state = ""
	unhealthy state = "unhealthy"
	draining  state = "draining"
	leaving   state = "leaving" // it is about to be deleted: its end is no loss
)

// record is what stands in etcd for an instance.
type record struct {
	Format int `json:"v"`
	Instance
	State state `json:"state,omitempty"`
	TTL   int64 `json:"ttl,omitempty"` // of its lease, in seconds
}

func (r *record) ttl(other time.Duration) time.Duration {
	if r.TTL < 1 || r.TTL > int64(24*time.Hour/time.Second) {
		return other
	}
	return time.Duration(r.TTL) * time.Second
}

// encode returns what stands in etcd, or why it cannot.
func (r *record) encode() (string, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	if len(data) > maxSize {
		return "", fmt.Errorf("labels: the record has %d bytes, more than %d", len(data), maxSize)
	}
	return string(data), nil
}

// decodeRecord reads what stands in etcd for the instance of that ID. It takes what was written by hand, and ignores what later versions
// added.
func decodeRecord(id string, value []byte) (*record, error) {
	if len(value) > maxSize {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(value), maxSize)
	}
	r := new(record)
	if err := json.Unmarshal(value, r); err != nil {
		return nil, err
	}
	switch {
	case r.Format > 1 || r.Format < 0:
		return nil, fmt.Errorf("format %d is not known", r.Format)
	case r.ID != "" && r.ID != id:
		return nil, fmt.Errorf("it is of the instance %q", clip(r.ID))
	}
	switch r.State {
	case serving, unhealthy, draining, leaving:
	default:
		return nil, fmt.Errorf("state %q is not known", clip(string(r.State)))
	}
	r.ID = id
	return r, r.check()
}

// endpoint is a record of client/v3/naming/endpoints.
type endpoint struct {
	Op       int // 0: added
	Addr     string
	Metadata json.RawMessage
}

// metadata is what such a record can say of an instance of ours: whatever the Metadata is, only what has these names and types counts.
type metadata struct {
	Ports    map[string]int    `json:"ports,omitempty"`
	Zone     string            `json:"zone,omitempty"`
	Weight   int               `json:"weight,omitempty"`
	Version  string            `json:"version,omitempty"`
	Protocol string            `json:"protocol,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

func encodeEndpoint(i *Instance) (string, error) {
	m, err := json.Marshal(metadata{Ports: i.Ports, Zone: i.Zone, Weight: i.Weight, Version: i.Version, Protocol: i.Protocol, Labels: i.Labels})
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(endpoint{Addr: i.Addr, Metadata: m})
	return string(data), err
}

func decodeEndpoint(id string, value []byte) (*record, error) {
	if len(value) > maxSize {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(value), maxSize)
	}
	var e endpoint
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, err
	}
	if e.Op != 0 {
		return nil, errors.New("it adds no endpoint")
	}
	r := &record{Instance: Instance{ID: id, Addr: e.Addr}}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.describe(e.Metadata)
	return r, nil
}

// describe takes from the metadata what makes sense. It is somebody else's, and no reason not to use the address.
func (r *record) describe(raw json.RawMessage) {
	var m metadata
	if len(raw) == 0 || json.Unmarshal(raw, &m) != nil {
		return
	}
	full := r.Instance
	full.Ports, full.Zone, full.Weight, full.Version, full.Protocol, full.Labels = m.Ports, m.Zone, m.Weight, m.Version, m.Protocol, m.Labels
	if full.check() == nil {
		r.Instance = full
	}
}
