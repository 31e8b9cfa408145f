package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"etcdkit/internal/retry"
)

func TestOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want retry.Class
	}{
		{"nil", nil, retry.OK},
		{"foreign", errors.New("what is this"), retry.Unknown},
		{"uncertain", retry.ErrUncertain, retry.Unknown},
		{"uncertain, and refused later", fmt.Errorf("%w: %w", retry.ErrUncertain, rpctypes.ErrPermissionDenied), retry.Unknown},
		{"canceled", context.Canceled, retry.Unknown},
		{"deadline", context.DeadlineExceeded, retry.Unknown},

		{"too many requests", rpctypes.ErrTooManyRequests, retry.DidNot},
		{"too many requests, as it comes over the wire", status.Error(codes.Unknown, rpctypes.ErrTooManyRequests.Error()), retry.DidNot},
		{"invalid token", rpctypes.ErrInvalidAuthToken, retry.DidNot},
		{"invalid token, raw", rpctypes.ErrGRPCInvalidAuthToken, retry.DidNot},
		{"invalid token, reason of a watch", status.Error(codes.FailedPrecondition, rpctypes.ErrGRPCInvalidAuthToken.Error()), retry.DidNot},
		{"invalid token, reason of a watch that was not created", errors.New(rpctypes.ErrGRPCInvalidAuthToken.Error()), retry.DidNot},
		{"old auth revision", rpctypes.ErrAuthOldRevision, retry.DidNot},
		{"lease not found", rpctypes.ErrLeaseNotFound, retry.DidNot},
		{"lease not found, raw", rpctypes.ErrGRPCLeaseNotFound, retry.DidNot},

		{"no space", rpctypes.ErrNoSpace, retry.Unknown},
		{"timeout", rpctypes.ErrTimeout, retry.Unknown},
		{"timeout, leader fail", rpctypes.ErrTimeoutDueToLeaderFail, retry.Unknown},
		{"timeout, connection lost", rpctypes.ErrTimeoutDueToConnectionLost, retry.Unknown},
		{"timeout, applied index", rpctypes.ErrGRPCTimeoutWaitAppliedIndex, retry.Unknown},
		{"no leader", rpctypes.ErrNoLeader, retry.Unknown},
		{"leader changed", rpctypes.ErrLeaderChanged, retry.Unknown},
		{"stopped", rpctypes.ErrStopped, retry.Unknown},
		{"unhealthy", rpctypes.ErrUnhealthy, retry.Unknown},
		{"server canceled", rpctypes.ErrGRPCCanceled, retry.Unknown},
		{"server deadline", rpctypes.ErrGRPCDeadlineExceeded, retry.Unknown},
		{"watch canceled", rpctypes.ErrGRPCWatchCanceled, retry.Unknown},
		{"connection refused", status.Error(codes.Unavailable, "connection error: desc = \"transport: Error while dialing\""), retry.Unknown},
		{"internal", status.Error(codes.Internal, "stream terminated by RST_STREAM"), retry.Unknown},
		{"not a primary lessor", status.Error(codes.Unknown, "not a primary lessor"), retry.Unknown},
		{"answer or request above a receive limit", status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 8)"), retry.Unknown},

		{"request above our send limit", status.Error(codes.ResourceExhausted, "trying to send message larger than max (9 vs. 8)"), retry.Never},
		{"request too large", rpctypes.ErrRequestTooLarge, retry.Never},
		{"too many ops", rpctypes.ErrTooManyOps, retry.Never},
		{"duplicate key", rpctypes.ErrDuplicateKey, retry.Never},
		{"empty key", rpctypes.ErrEmptyKey, retry.Never},
		{"compacted", rpctypes.ErrCompacted, retry.Never},
		{"compacted, reason of a watch", errors.New(rpctypes.ErrCompacted.Error()), retry.Never},
		{"future revision", rpctypes.ErrFutureRev, retry.Never},
		{"lease exists", rpctypes.ErrLeaseExist, retry.Never},
		{"permission", rpctypes.ErrPermissionDenied, retry.Never},
		{"permission, raw", rpctypes.ErrGRPCPermissionDenied, retry.Never},
		{"permission, reason of a watch", errors.New(rpctypes.ErrGRPCPermissionDenied.Error()), retry.Never},
		{"wrong password", rpctypes.ErrAuthFailed, retry.Never},
		{"no user", rpctypes.ErrUserEmpty, retry.Never},
		{"unauthenticated", status.Error(codes.Unauthenticated, "who are you"), retry.Never},
		{"unimplemented", status.Error(codes.Unimplemented, "unknown method RangeStream"), retry.Never},
		{"corrupt", rpctypes.ErrCorrupt, retry.Never},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := retry.Of(test.err); got != test.want {
				t.Errorf("Of(%v) = %v, want %v", test.err, got, test.want)
			}
			if test.err == nil {
				return
			}
			if wrapped := fmt.Errorf("lock %q: %w", "a", test.err); retry.Of(wrapped) != test.want {
				t.Errorf("Of(%v) = %v, want %v", wrapped, retry.Of(wrapped), test.want)
			}
			if joined := errors.Join(errors.New("first"), test.err); retry.Of(joined) != test.want {
				t.Errorf("Of(%v) = %v, want %v", joined, retry.Of(joined), test.want)
			}
		})
	}
}

// TestOfKnowsEveryCode holds the rule of the package for whatever words a server may find.
func TestOfKnowsEveryCode(t *testing.T) {
	t.Parallel()
	for code := codes.OK + 1; code <= codes.Unauthenticated; code++ {
		got := retry.Of(status.Error(code, "words"))
		if got == retry.OK || got == retry.DidNot {
			t.Errorf("Of(%v) = %v: a code alone never proves that", code, got)
		}
	}
}

func TestClassNames(t *testing.T) {
	t.Parallel()
	want := map[retry.Class]string{
		retry.OK: "ok", retry.DidNot: "did not happen", retry.Unknown: "unknown", retry.Never: "never will", retry.Class(9): "unknown",
	}
	for class, name := range want {
		if class.String() != name {
			t.Errorf("%d is called %q, want %q", class, class, name)
		}
	}
}
