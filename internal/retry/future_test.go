package retry

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestACodeOfTheFutureIsUnknown(t *testing.T) {
	t.Parallel()
	if got := Of(status.Error(codes.Code(99), "news")); got != Unknown {
		t.Errorf("a code that nobody knows yet: %v", got)
	}
}
