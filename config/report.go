package config

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"etcdkit/internal/hub"
)

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
