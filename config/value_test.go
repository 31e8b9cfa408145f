package config

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFixed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := Fixed(limit{Max: 3})
		if v.Get().Max != 3 || v.Stale() != 0 || v.Snapshot() != (Snapshot[limit]{Value: limit{Max: 3}}) {
			t.Errorf("%+v, %+v", v.Get(), v.Snapshot())
		}
		because := errors.New("because")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(because) })
		n := 0
		for ch, err := range v.Changes(ctx) {
			switch n++; n {
			case 1:
				if err != nil || ch.New.Max != 3 || ch.Old.Max != 3 || ch.Fields != nil {
					t.Errorf("%+v, %v", ch, err)
				}
			default:
				if ch != nil || !errors.Is(err, because) {
					t.Errorf("%+v, %v", ch, err)
				}
			}
		}
		if n != 2 {
			t.Errorf("%d pairs", n)
		}
		time.AfterFunc(time.Second, func() { _ = v.Close() })
		for _, err := range v.Changes(t.Context()) {
			if err != nil && !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
		if v.Get().Max != 3 || !errors.Is(v.Snapshot().Err, ErrClosed) || v.Close() != nil {
			t.Errorf("after Close: %+v", v.Snapshot())
		}
	})
}

// TestChangesFold: who is slow sees the newest, and the difference to what he saw last.
func TestChangesFold(t *testing.T) {
	t.Parallel()
	f, _ := followerOf(t, "app", limit{})
	v := &Value[limit]{f: f}
	f.publish = func(p any) { v.current.Store(p.(*limit)) }
	step := func(now view) {
		t.Helper()
		if !f.replace(f.newest(), &now) {
			t.Fatal("it was not replaced")
		}
	}
	step(view{value: &limit{Max: 1}, revision: 1})
	n := 0
	for ch, err := range v.Changes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		switch n++; n {
		case 1:
			step(view{value: &limit{Max: 2}, revision: 2})
			step(view{value: &limit{Max: 1, Wait: 1}, revision: 3})
		case 2:
			if ch.Old.Max != 1 || ch.New.Wait != 1 || ch.Revision != 3 || len(ch.Fields) != 1 || ch.Fields[0] != "wait" {
				t.Errorf("%+v", ch)
			}
			step(view{value: f.newest().value, revision: 3, refused: &RefusedError{Revision: 4, Err: errEmpty}})
		case 3:
			var refused *RefusedError
			if ch.Revision != 4 || ch.Fields != nil || !errors.As(ch.Refused, &refused) || !errors.Is(ch.Refused, ErrRefused) || !errors.Is(ch.Refused, errEmpty) {
				t.Errorf("%+v", ch)
			}
			if s := v.Snapshot(); s.Revision != 3 || s.Value.Wait != 1 || s.Refused == nil {
				t.Errorf("%+v", s)
			}
		}
		if n == 3 {
			break
		}
	}
	if f.replace(nil, &view{}) {
		t.Error("a view that was not made from the newest replaced it")
	}
}

// sink keeps the compiler from leaving a benchmark's work out.
var sink limit

func BenchmarkGet(b *testing.B) {
	type small struct {
		limit
		_ [48]byte
	}
	v := Fixed(small{limit: limit{Max: 1}})
	var bare atomic.Pointer[small]
	bare.Store(new(small))
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := v.Get()
			sink = s.limit
		}
	})
	b.Run("limit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := *bare.Load()
			sink = s.limit
		}
	})
}
