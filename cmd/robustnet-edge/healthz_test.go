package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/internal/cli"
)

// answering serves /readyz on an address and returns the one that it got.
func answering(t *testing.T, listen string, answer http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Skipf("this machine does not listen on %s: %v", listen, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", answer)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

func says(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprintln(w, text)
	}
}

func TestHealthz(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // nothing of the machine itself goes there
	const old = "the camera's newest frame is 12s old"
	port := func(address string) string {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	good := answering(t, "127.0.0.1:0", says(200, "ready"))
	all := answering(t, "0.0.0.0:0", says(200, "ready"))
	bad := answering(t, "127.0.0.1:0", says(503, old))
	for name, tt := range map[string]struct {
		address string
		stderr  string // contained; empty for an answer that is good
	}{
		"ready":             {good, ""},
		"by name":           {"localhost:" + port(good), ""},
		"on all addresses":  {"0.0.0.0:" + port(all), ""},
		"without a host":    {":" + port(all), ""},
		"not ready":         {bad, "not ready: " + old},
		"another server":    {answering(t, "127.0.0.1:0", says(404, "nothing here")), `is not the daemon's: it answers 404 Not Found, "nothing here"`},
		"one that is ready": {answering(t, "127.0.0.1:0", says(200, "<html>\n")), `is not the daemon's: it answers 200 OK, "<html>"`},
		"one that sends on": {answering(t, "127.0.0.1:0", http.RedirectHandler("http://"+good+"/readyz", http.StatusFound).ServeHTTP), "302 Found"},
		"nobody":            {free(t), "no daemon answers on 127.0.0.1:"},
		"no server":         {"off", "http.address is off"},
		"any port":          {"127.0.0.1:0", "of which only the daemon's log knows the port"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, "healthz", "--http", tt.address)
			if tt.stderr == "" {
				if code != cli.OK || stdout != "ready\n" || stderr != "" {
					t.Errorf("exit code %d, %q, %q; want 0 and ready", code, stdout, stderr)
				}
				return
			}
			if code != cli.Failure || stdout != "" || !strings.Contains(stderr, tt.stderr) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, %q, %q; want 1 and one line with %q", code, stdout, stderr, tt.stderr)
			}
		})
	}
}

func TestHealthzOfIPv6(t *testing.T) {
	clearEnvironment(t)
	address := answering(t, "[::]:0", says(200, "ready"))
	if err := askReady(t.Context(), address, answerTime); err != nil {
		t.Errorf("%s: %v", address, err)
	}
}

// The settings are those of the daemon: file, environment, flags.
func TestHealthzOfTheEnvironment(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("ROBUSTNET_HTTP_ADDRESS", answering(t, "127.0.0.1:0", says(200, "ready")))
	if code, stdout, stderr := execute(t, "healthz"); code != cli.OK {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, _, stderr := execute(t, "healthz", "--fps", "0"); code != cli.Usage {
		t.Errorf("exit code %d for a bad flag, %q", code, stderr)
	}
	if code, _, stderr := execute(t, "healthz", "now"); code != cli.Usage {
		t.Errorf("exit code %d for an argument, %q", code, stderr)
	}
}

func TestHealthzWaitsNotForEver(t *testing.T) {
	release := make(chan struct{})
	address := answering(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	start := time.Now()
	err := askReady(t.Context(), address, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "does not answer within 50ms") {
		t.Errorf("error %v, want that there is no answer", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// free is an address on which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
