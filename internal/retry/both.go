package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// BothEnds lets errors.Is find that ctx ended as well as why, since callers ask for either.
func BothEnds(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		return fmt.Errorf("%w: %w", end, err)
	}
	return err
}

// Join is errors.Join in one line.
func Join(err, also error) error {
	if err == nil || also == nil {
		return cmp.Or(err, also)
	}
	return fmt.Errorf("%w; %w", err, also)
}
