package config

import (
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

type ring struct{ Next *ring }

// TestBadDefaults: what nothing can be decoded over is an error of Watch, which asks nobody.
func TestBadDefaults(t *testing.T) {
	t.Parallel()
	s := session.New(clientv3.NewCtxClient(t.Context()))
	endless := new(ring)
	endless.Next = endless
	errs := map[string]func() error{
		"the default: it leads to itself": func() error { _, err := Watch(t.Context(), s, "a", endless); return err },
		"there is no JSON of a chan int":  func() error { _, err := Watch(t.Context(), s, "a", make(chan int)); return err },
		"the default cannot be decoded over: it is an object, which is no int": func() error {
			_, err := Watch(t.Context(), s, "a", 5, WithTree())
			return err
		},
	}
	for want, watch := range errs {
		if err := watch(); err == nil || !strings.Contains(err.Error(), `config "a": `) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := Check(endless)([]byte("{}")); err == nil || !strings.Contains(err.Error(), "leads to itself") {
		t.Errorf("Check: %v", err)
	}
	if err := Check(picky{Max: 6})([]byte(`{"max":1}`)); err != nil { // what it is for is the value alone
		t.Errorf("Check: %v", err)
	}
	for _, def := range []any{nil, 5, picky{Max: 6}, &proud{}, map[int]int{}, &picky{}, []string{"a"}, settings{}} {
		if err := decoderOf(def).sound(); err != nil {
			t.Errorf("%T: %v", def, err)
		}
	}
	for _, d := range []*decoder{decoderOf[*picky](nil), decoderOf(settings{}, WithTree()), decoderOf([]byte(nil), WithTree()), decoderOf(map[string]any{}, WithTree())} {
		if err := d.sound(); err != nil {
			t.Errorf("%v: %v", d.def.Type(), err)
		}
	}
}
