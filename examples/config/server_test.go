package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"etcdkit/config"
)

// TestHandler needs no etcd: the settings are what the test says.
func TestHandler(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		settings
		query string
		code  int
		body  string
	}{
		{"the defaults", defaults, "", http.StatusOK, "done"},
		{"in time", settings{Timeout: time.Minute}, "?take=30s", http.StatusOK, "done"},
		{"too slow", settings{Timeout: 20 * time.Millisecond}, "?take=30s", http.StatusGatewayTimeout, "more than 20ms"},
		{"closed", settings{Timeout: time.Second, Maintenance: true}, "", http.StatusServiceUnavailable, "maintenance"},
		{"nonsense", defaults, "?take=long", http.StatusBadRequest, "invalid duration"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+test.query, nil)
				newHandler(config.Fixed(test.settings), slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
				if w.Code != test.code || !strings.Contains(w.Body.String(), test.body) {
					t.Errorf("%d %q, want %d %q", w.Code, w.Body, test.code, test.body)
				}
			})
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for timeout, ok := range map[time.Duration]bool{0: false, time.Millisecond: false, time.Second: true, time.Hour: false} {
		if err := (settings{Timeout: timeout}).Validate(); (err == nil) != ok {
			t.Errorf("%v: %v", timeout, err)
		}
	}
	if err := config.Check(defaults)([]byte(`{"level":"debug","timeout":"200ms"}`)); err != nil {
		t.Errorf("the edit that the doc shows is refused: %v", err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		var out bytes.Buffer
		level := new(slog.LevelVar)
		err := follow(ctx, config.Fixed(settings{Level: slog.LevelDebug, Timeout: 1}), level, slog.New(slog.NewTextHandler(&out, nil)))
		if err == nil || ctx.Err() == nil {
			t.Errorf("follow = %v before its context ended", err)
		}
		if level.Level() != slog.LevelDebug || !strings.Contains(out.String(), "msg=settings") {
			t.Errorf("level %v, log %s", level.Level(), &out)
		}
	})
}
