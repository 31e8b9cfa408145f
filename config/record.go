package config

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// record is one version in the history, as it stands in etcd: what a write changed.
type record struct {
	Format  int                 `json:"v"`
	ID      string              `json:"id"` // of the write: tells it from one that took the same number
	Time    time.Time           `json:"time"`
	Author  string              `json:"author,omitempty"`
	Comment string              `json:"comment,omitempty"`
	Part    string              `json:"part,omitempty"` // where Changes are, if they did not fit in here
	Changes map[string]recorded `json:"changes,omitempty"`
}

// recorded is what became of one path.
type recorded struct {
	// Before is what stood there, where the version just before does not tell it.
	Before *content `json:"before,omitempty"`
	After  content  `json:"after"`
}

// content is a value, or the absence of one.
type content struct {
	Value []byte `json:"value,omitempty"`
	Gone  bool   `json:"gone,omitempty"`
	// Dropped says that it was too large to be kept: somebody wrote it past the store.
	Dropped bool `json:"dropped,omitempty"`
}

func newContent(value []byte) content { return content{Value: value, Gone: value == nil} }

// bytes is nil where there is no value.
func (c content) bytes() []byte {
	switch {
	case c.Gone, c.Dropped:
		return nil
	case c.Value == nil:
		return []byte{}
	}
	return c.Value
}

// maxRecord bounds what a record can be unpacked to: two versions of 1 MiB in base64 are less.
const maxRecord = 8 << 20

// compressFrom is the size from which compressing is worth it.
const compressFrom = 1 << 10

// encode returns what stands in etcd: JSON, compressed if it is long.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("config: a record is always valid JSON: " + err.Error())
	}
	if len(data) < compressFrom {
		return data
	}
	var packed bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // the level is one that there is
	_, _ = zip.Write(data)                                 // into memory
	_ = zip.Close()
	return packed.Bytes()
}

// decode is the inverse of encode.
func decode(data []byte, v any) error {
	if len(data) > 0 && data[0] != '{' {
		zip, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return err
		}
		if data, err = io.ReadAll(io.LimitReader(zip, maxRecord+1)); err != nil {
			return err
		}
		if len(data) > maxRecord {
			return fmt.Errorf("more than %d bytes", maxRecord)
		}
	}
	return json.Unmarshal(data, v)
}
