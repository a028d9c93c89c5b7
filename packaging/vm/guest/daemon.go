package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	address    = "http://127.0.0.1:8080"
	configFile = "/etc/robustnet/edge.yaml"
	stateDir   = "/var/lib/robustnet"
	modelFile  = "/usr/local/share/robustnet-test/model.onnx"
	// overridesFile is the service's EnvironmentFile.
	overridesFile = "/etc/default/robustnet-edge"
)

// get asks the daemon for a page.
func get(ctx context.Context, path string) (code int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+path, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// metric is the sum of a metric's values over all series that have the labels, which are given
// as they are written: name="value".
func metric(ctx context.Context, name string, labels ...string) (float64, error) {
	_, body, err := get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		series, value, ok := cutLast(lines.Text(), " ")
		base, rest, _ := strings.Cut(series, "{")
		if !ok || base != name || !containsAll(rest, labels) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", series, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("there is no metric %s with %q", name, labels)
	}
	return sum, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func containsAll(s string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}

// metricBecomes waits until a metric has a value.
func metricBecomes(ctx context.Context, want float64, name string, labels ...string) error {
	var last float64
	err := until(ctx, fmt.Sprintf("metric %s %q is %v", name, labels, want), func() (ok bool, err error) {
		last, err = metric(ctx, name, labels...)
		return last == want, err
	})
	if err != nil {
		return fmt.Errorf("%w; it is %v", err, last)
	}
	return nil
}

// answers waits until a page has a status code.
func answers(ctx context.Context, path string, want int) error {
	return until(ctx, fmt.Sprintf("%s answers %d", path, want), func() (bool, error) {
		code, _, err := get(ctx, path)
		if err == nil && code != want {
			err = fmt.Errorf("it answers %d", code)
		}
		return code == want, err
	})
}

// settings is a configuration of the daemon that emulated machines can follow: the cameras'
// section, the alpha of the overlay, and what is written.
func settings(cameras, alpha, output string) string {
	return fmt.Sprintf("# Made for the tests.\n%s\noverlay: {alpha: %s}\nmodel: {path: %s, threads: 1}\n"+
		"stream: {key_interval: 1s}\noutput: {%s}\n", cameras, alpha, modelFile, output)
}

const oneCamera = `camera: {uri: "v4l2:", size: 320x180, fps: 10}`

// configure writes a configuration and starts the daemon with it.
func configure(ctx context.Context, text string) error {
	if err := os.WriteFile(configFile, []byte(text), 0o644); err != nil {
		return err
	}
	if _, err := command(ctx, "robustnet-edge", "check", configFile); err != nil {
		return err
	}
	return commands(ctx, "systemctl reset-failed "+service, "systemctl restart "+service)
}

// limit is how long a recovery may take that has a target: emulation and a busy host are no fault
// of the daemon.
func (b *bench) limit(target time.Duration) time.Duration {
	if b.task.Emulated {
		return 2 * target
	}
	return target
}

// Targets of time.
const (
	targetBack  = 3 * time.Second
	targetFirst = 5 * time.Second
	// targetRetry is camera.retry_max: nothing tells that a camera goes on, so it is tried.
	targetRetry = 15 * time.Second
)
