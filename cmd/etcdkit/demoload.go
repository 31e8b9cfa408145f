package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	demoClients = 4                     // that ask at the same time
	demoPause   = 10 * time.Millisecond // of each, between two requests
)

// load is clients that ask the gateway again and again, and count who answers.
type load struct {
	url    string
	client *http.Client
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu      sync.Mutex // protects what follows
	total   int
	answers map[string]int // by who answered
	failed  int
	first   error          // the first failure
	told    map[string]int // of answers
}

// startLoad begins when the gateway has an answer: that servers are registered is known elsewhere a moment before the gateway knows.
func startLoad(soon context.Context, url string) (*load, error) {
	ctx, cancel := context.WithCancel(context.Background())
	transport := &http.Transport{MaxIdleConnsPerHost: demoClients}
	l := &load{url: url, client: &http.Client{Transport: transport}, cancel: cancel, answers: map[string]int{}, told: map[string]int{}}
	if err := l.ready(soon); err != nil {
		l.stop()
		return nil, err
	}
	for range demoClients {
		l.group.Go(func() { l.run(ctx) })
	}
	return l, nil
}

// ready waits for the first answer.
func (l *load) ready(ctx context.Context) error {
	tick := time.NewTicker(demoPause)
	defer tick.Stop()
	for {
		_, err := l.get(ctx, "/")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not answer: %w", err)
		}
	}
}

// stop ends it, and waits for the clients.
func (l *load) stop() {
	l.cancel()
	l.group.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) run(ctx context.Context) {
	tick := time.NewTicker(demoPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		who, err := l.get(ctx, "/")
		if ctx.Err() != nil {
			return
		}
		l.count(who, err)
	}
}

func (l *load) get(ctx context.Context, path string) (body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return string(text), err
}

func (l *load) count(who string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if err == nil {
		l.answers[who]++
		return
	}
	l.failed++
	if l.first == nil {
		l.first = err
	}
}

// of is how many requests somebody has answered.
func (l *load) of(who string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[who]
}

// requests is how many there were, or an error if one has failed.
func (l *load) requests() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed > 0 {
		return l.total, fmt.Errorf("%d of %d requests have failed, the first with: %w", l.failed, l.total, l.first)
	}
	return l.total, nil
}

// recent tells who has answered how often since it was asked last.
func (l *load) recent() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []string
	for _, who := range slices.Sorted(maps.Keys(l.answers)) {
		parts = append(parts, fmt.Sprintf("%s %4d", who, l.answers[who]-l.told[who]))
	}
	maps.Copy(l.told, l.answers)
	return fmt.Sprintf("%s, failed %d", strings.Join(parts, ", "), l.failed)
}

// retries reads in the gateway's metrics how many requests it has sent again.
func (l *load) retries(ctx context.Context) (n int, err error) {
	text, err := l.get(ctx, "/-/metrics")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, metricPrefix+"retries_total{") {
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' '):], &n); err != nil {
				return 0, fmt.Errorf("metrics: %q: %w", line, err)
			}
		}
	}
	return n, err
}
