package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"etcdkit/config"
)

// settings is what can be changed while the server runs.
type settings struct {
	Level       slog.Level    `json:"level"`
	Timeout     time.Duration `json:"timeout"` // of a request
	Maintenance bool          `json:"maintenance"`
}

var defaults = settings{Level: slog.LevelInfo, Timeout: time.Second}

// Validate keeps an edit from taking the server down.
func (s settings) Validate() error {
	if s.Timeout < 10*time.Millisecond || s.Timeout > time.Minute {
		return fmt.Errorf("timeout %v: must be from 10ms to 1m", s.Timeout)
	}
	return nil
}

// newHandler serves by the settings of the moment: each request reads them once.
func newHandler(live *config.Value[settings], log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := live.Get()
		if now.Maintenance {
			http.Error(w, "closed for maintenance", http.StatusServiceUnavailable)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), now.Timeout)
		defer cancel()
		log.Debug("request", "path", r.URL.Path, "timeout", now.Timeout)
		answer, err := work(ctx, r.URL.Query().Get("take"))
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			http.Error(w, fmt.Sprintf("it took more than %v", now.Timeout), http.StatusGatewayTimeout)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		default:
			_, _ = fmt.Fprintln(w, answer) // a client that has gone
		}
	})
}

// work takes as long as it is told to.
func work(ctx context.Context, take string) (string, error) {
	if take == "" {
		take = "0s"
	}
	d, err := time.ParseDuration(take)
	if err != nil {
		return "", err
	}
	select {
	case <-time.After(d):
		return "done", nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// follow does what has to be done at a change, and says what became of it.
func follow(ctx context.Context, live *config.Value[settings], level *slog.LevelVar, log *slog.Logger) error {
	for ch, err := range live.Changes(ctx) {
		if err != nil {
			return err
		}
		level.Set(ch.New.Level)
		log.Info("settings", "changed", ch.Fields, "revision", ch.Revision, "refused", ch.Refused, "deleted", ch.Deleted)
	}
	return nil // never: the last pair has an error
}
