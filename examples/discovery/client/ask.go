package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"etcdkit/discovery"
)

// ask asks one instance after the other until ctx ends.
func ask(ctx context.Context, view *discovery.View, every time.Duration, log *slog.Logger) {
	turns := discovery.RoundRobin()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		answer, err := askOne(ctx, view, turns)
		if err != nil {
			log.Warn("no answer", "error", err)
			continue
		}
		log.Info("answer", "text", answer)
	}
}

// askOne makes one request, and on another instance a second one if the first fails.
func askOne(ctx context.Context, view *discovery.View, turns discovery.Picker) (answer string, err error) {
	for range 2 {
		inst, done, picked := view.Pick(turns)
		if picked != nil {
			return "", picked
		}
		answer, err = get(ctx, "http://"+inst.Addr)
		done(err)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return answer, err
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s says %s", url, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return string(text), err
}
