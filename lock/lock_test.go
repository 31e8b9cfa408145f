package lock

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"etcdkit/internal/retry"
	"etcdkit/session"
)

func TestHeldErrorNamesTheOwner(t *testing.T) {
	t.Parallel()
	tests := []struct {
		owner Owner
		want  string
	}{
		{Owner{Host: "host-3", PID: 7, Token: 42, Holder: true}, `lock "a": held by host-3, process 7, token 42`},
		{Owner{Key: "a/foreign", Token: 42, Holder: true}, `lock "a": held by the owner of key a/foreign, token 42`},
		{Owner{Host: "host-3", PID: 7}, `lock "a": waited for by host-3, process 7`},
	}
	for _, test := range tests {
		err := &HeldError{Name: "a", Owner: test.owner}
		if err.Error() != test.want || !errors.Is(err, ErrHeld) {
			t.Errorf("%q, want %q", err, test.want)
		}
	}
}

func TestErrorsOfDoAreOneLine(t *testing.T) {
	t.Parallel()
	failed, lost := errors.New("failed"), &session.LostError{Reason: session.Expired}
	if err := retry.Join(nil, nil); err != nil {
		t.Errorf("retry.Join(nil, nil) = %v", err)
	}
	if err := retry.Join(failed, nil); err != failed { //nolint:errorlint // the very error, and nothing around it
		t.Errorf("retry.Join(failed, nil) = %v", err)
	}
	err := retry.Join(failed, lost)
	if !errors.Is(err, failed) || !errors.Is(err, session.ErrLost) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "failed") {
		t.Errorf("retry.Join(failed, lost) = %v", err)
	}
}

func TestBothEndsOfAContext(t *testing.T) {
	t.Parallel()
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := retry.BothEnds(ctx, because); err != because { //nolint:errorlint // the very error
		t.Errorf("%v under a living context", err)
	}
	cancel(because)
	if err := retry.BothEnds(ctx, because); !errors.Is(err, because) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want both why and that the context ended", err)
	}
}

func TestPermissionErrorsNameTheKeys(t *testing.T) {
	t.Parallel()
	l := &line{kind: kind, name: "a", key: "p/lock/a/@"}
	if err := l.wrap(rpctypes.ErrPermissionDenied); !strings.Contains(err.Error(), `"p/lock/a/@/"`) || !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("%v", err)
	}
}
