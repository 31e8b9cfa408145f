package config

import (
	"errors"

	"etcdkit/internal/hub"
)

// kind is the segment under which values stand; historyKind and statusKind have what is said about them, outside of what is watched.
const (
	kind        = "config"
	historyKind = "confighistory"
	statusKind  = "configstatus"
	treeLine    = ".tree" // behind the lines of a tree: no name has a segment that begins like that of a line
)

// Option changes a default of Watch, of NewStore or of Check. Each says which; where it would mean nothing it is refused.
type Option func(*options)

type options struct {
	key      *string
	tree     bool
	decode   func(data []byte, v any) error
	decoders int
	lenient  bool
	resets   bool
	lastGood *string
	report   bool
	keep     *int
}

// WithKey takes an exact etcd key instead of one made from the prefix and the name, which is then what errors, history and reports
// are under. It is for Watch and NewStore.
func WithKey(key string) Option { return func(o *options) { o.key = &key } }

// WithTree takes all keys below the name instead of the one that it is: with the name "app/api", "app/api/http/timeout" is the field
// http.timeout. What stands in a key is JSON, but text needs no quotes there. It is for Watch, NewStore and Check.
func WithTree() Option { return func(o *options) { o.tree = true } }

// WithDecoder decodes with a function of the shape of json.Unmarshal and yaml.Unmarshal instead of this package's strict JSON. v points to a
// copy of the default. A tree is handed to it as one JSON document. It is for Watch and Check.
func WithDecoder(decode func(data []byte, v any) error) Option {
	return func(o *options) { o.decode, o.decoders = decode, o.decoders+1 }
}

// WithUnknownFields accepts fields that the type does not have, and says so in the log, instead of refusing the update: for fleets in which
// old programs read what new ones know already. It is for Watch and Check.
func WithUnknownFields() Option { return func(o *options) { o.lenient = true } }

// WithDeleteResets goes back to the default when the value is deleted, instead of keeping the last good one, which it does if the default is
// not valid. It is for Watch.
func WithDeleteResets() Option { return func(o *options) { o.resets = true } }

// WithLastGood keeps what was last accepted in a file, so that a program can start while etcd is unreachable. The file says as much
// as etcd does, so it is for its owner's eyes alone (0600). Each value needs a file of its own in a folder that is there: what holds anything
// but a last good file of this very value is an error of Watch, and is never replaced. It is for Watch.
func WithLastGood(path string) Option { return func(o *options) { o.lastGood = &path } }

// WithReport tells whoever asks (Store.Status) which revision this process runs and what it refused, in a key under the session's lease.
// It is for Watch.
func WithReport() Option { return func(o *options) { o.report = true } }

// WithKeep sets how many versions the history keeps; the default is 100. The next write drops what is more. It is for NewStore.
func WithKeep(versions int) Option { return func(o *options) { o.keep = &versions } }

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// checkWatch names an option that cannot be used with Watch.
func (o *options) checkWatch() error {
	switch {
	case o.keep != nil:
		return errors.New("WithKeep is for NewStore")
	case o.lastGood != nil && *o.lastGood == "":
		return errors.New("WithLastGood: the path is empty")
	}
	return o.checkDecoder()
}

func (o *options) checkDecoder() error {
	switch {
	case o.decoders > 1:
		return errors.New("WithDecoder twice: only one can decode")
	case o.decoders == 1 && o.decode == nil:
		return errors.New("WithDecoder: the function is nil")
	case o.decode != nil && o.lenient:
		return errors.New("WithUnknownFields: what a decoder of WithDecoder does with unknown fields is its own business")
	}
	return nil
}

// checkStore names an option that cannot be used with NewStore.
func (o *options) checkStore() error {
	switch {
	case o.decoders > 0 || o.lenient:
		return errors.New("WithDecoder and WithUnknownFields are for Watch and Check: a store holds bytes, see WithCheck")
	case o.resets || o.lastGood != nil || o.report:
		return errors.New("WithDeleteResets, WithLastGood and WithReport are for Watch")
	case o.keep != nil && *o.keep < 1:
		return errors.New("WithKeep: the history keeps one version at least")
	}
	return nil
}

// place finds where a value stands.
func (o *options) place(h *hub.Hub, name string) (place, error) {
	p := place{keys: h.Keys, name: name, tree: o.tree, exact: o.key != nil}
	var err error
	if p.key, err = h.Keys.Name(kind, name); err != nil {
		return p, err // also with a key of its own: history and reports are under the name
	}
	if o.key != nil {
		p.key = *o.key
		err = checkKey(p.key)
	}
	return p, err
}
