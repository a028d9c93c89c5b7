package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	s := NewServer(options(newFakeCamera(5)))
	start(t, s)
	c := client(t)
	tests := map[string]struct {
		method, path string
		code         int
		contentType  string
		body         string // part of it
	}{
		"page":               {"GET", "/", 200, "text/html; charset=utf-8", "<title>robustnet-edge</title>"},
		"style":              {"GET", "/app.css", 200, "text/css; charset=utf-8", "prefers-color-scheme"},
		"script":             {"GET", "/app.js", 200, "text/javascript; charset=utf-8", "/api/v1/status"},
		"icon":               {"GET", "/favicon.svg", 200, "image/svg+xml", "<svg"},
		"health":             {"GET", "/healthz", 200, "text/plain; charset=utf-8", "ok\n"},
		"ready":              {"GET", "/readyz", 200, "text/plain; charset=utf-8", "ready\n"},
		"metrics":            {"GET", "/metrics", 200, "text/plain; charset=utf-8", "robustnet_camera_up 1"},
		"status":             {"GET", "/api/v1/status", 200, "application/json", `"uptime_seconds":12.5`},
		"openapi":            {"GET", "/api/v1/openapi.json", 200, "application/json", `"openapi": "3.1.0"`},
		"snapshot":           {"GET", "/snapshot.jpg", 200, "image/jpeg", "overlay 5"},
		"snapshot overlay":   {"GET", "/snapshot.jpg?view=overlay", 200, "image/jpeg", "overlay 5"},
		"snapshot raw":       {"GET", "/snapshot.jpg?view=raw", 200, "image/jpeg", "raw 5"},
		"snapshot mask":      {"GET", "/snapshot.jpg?view=mask", 200, "image/jpeg", "mask 5"},
		"snapshot both":      {"GET", "/snapshot.jpg?view=side-by-side", 200, "image/jpeg", "side-by-side 5"},
		"snapshot unknown":   {"GET", "/snapshot.jpg?view=%0d%0aX", 400, "text/plain; charset=utf-8", "choose one of overlay, mask, side-by-side, raw"},
		"snapshot of camera": {"GET", "/snapshot.jpg?camera=front", 200, "image/jpeg", "overlay 5"},
		"unknown camera":     {"GET", "/snapshot.jpg?camera=%0d%0aX", 404, "text/plain; charset=utf-8", "there is front"},
		"preview of nothing": {"GET", "/preview.mjpg?camera=x", 404, "text/plain; charset=utf-8", "there is front"},
		"preview unknown":    {"GET", "/preview.mjpg?view=x", 400, "text/plain; charset=utf-8", "choose one of overlay"},
		"nothing there":      {"GET", "/admin", 404, "text/plain; charset=utf-8", "There is nothing at \"/admin\""},
		"below the root":     {"GET", "/snapshot.jpg/x", 404, "text/plain; charset=utf-8", "nothing"},
		"post to page":       {"POST", "/", 405, "text/plain; charset=utf-8", "Method Not Allowed"},
		"post to status":     {"POST", "/api/v1/status", 405, "text/plain; charset=utf-8", "Method Not Allowed"},
		"put to snapshot":    {"PUT", "/snapshot.jpg", 405, "text/plain; charset=utf-8", "Method Not Allowed"},
		"delete to nowhere":  {"DELETE", "/admin", 405, "text/plain; charset=utf-8", "Method Not Allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := do(t, c, test.method, s.URL()+test.path[1:], "")
			if got.code != test.code {
				t.Errorf("code = %d, want %d", got.code, test.code)
			}
			if ct := got.header.Get("Content-Type"); ct != test.contentType {
				t.Errorf("Content-Type = %q, want %q", ct, test.contentType)
			}
			if !strings.Contains(got.body, test.body) {
				t.Errorf("body = %.200q, want it to contain %q", got.body, test.body)
			}
			for header, want := range map[string]string{
				"X-Content-Type-Options":       "nosniff",
				"X-Frame-Options":              "DENY",
				"Referrer-Policy":              "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Cache-Control":                "no-store",
			} {
				if v := got.header.Get(header); v != want {
					t.Errorf("%s = %q, want %q", header, v, want)
				}
			}
			csp := got.header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("Content-Security-Policy = %q", csp)
			}
		})
	}
}

func TestHead(t *testing.T) {
	s := NewServer(options(newFakeCamera(5)))
	start(t, s)
	c := client(t)
	for path, length := range map[string]string{
		"snapshot.jpg?view=raw": "5", // "raw 5"
		"healthz":               "3",
		"preview.mjpg":          "",
	} {
		got := do(t, c, http.MethodHead, s.URL()+path, "")
		if got.code != http.StatusOK || got.header.Get("Content-Length") != length || got.body != "" {
			t.Errorf("HEAD %s = %d, %s bytes announced, %d sent; want 200, %q, 0",
				path, got.code, got.header.Get("Content-Length"), len(got.body), length)
		}
	}
}

func TestSnapshotWithoutFrame(t *testing.T) {
	s := NewServer(options(newFakeCamera(0)))
	s.firstPicture = time.Millisecond
	start(t, s)
	got := get(t, s, "/snapshot.jpg")
	if got.code != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "no frame yet") {
		t.Errorf("= %d %q, want 503 that says there is no frame yet", got.code, got.body)
	}
}

func TestSnapshotFault(t *testing.T) {
	camera := newFakeCamera(1)
	camera.fault = errors.New("secret detail")
	s := NewServer(options(camera))
	start(t, s)
	got := get(t, s, "/snapshot.jpg")
	if got.code != http.StatusInternalServerError || strings.Contains(got.body, "secret") {
		t.Errorf("= %d %q, want 500 without the cause", got.code, got.body)
	}
}

func TestNotReady(t *testing.T) {
	o := options(newFakeCamera(0))
	o.Ready = func() error { return errors.New("camera lost:\n  no such device") }
	s := NewServer(o)
	start(t, s)
	if got := get(t, s, "/readyz"); got.code != http.StatusServiceUnavailable || got.body != "camera lost: no such device\n" {
		t.Errorf("/readyz = %d %q, want 503 and the reason in one line", got.code, got.body)
	}
	if got := get(t, s, "/healthz"); got.code != http.StatusOK {
		t.Errorf("/healthz = %d, want 200: the process runs", got.code)
	}
}

func TestStatus(t *testing.T) {
	s := NewServer(options(newFakeCamera(5)))
	start(t, s)
	var got Status
	if err := json.Unmarshal([]byte(get(t, s, "/api/v1/status").body), &got); err != nil {
		t.Fatal(err)
	}
	want := fullStatus()
	want.Preview = PreviewStatus{MaxViewers: MaxPreviewViewers, FPS: 1000}
	want.Cameras[0].Stream.RTSPURL = "rtsp://127.0.0.1:8554/overlay"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("status = %+v, want %+v", got, want)
	}
}

func TestHostHeader(t *testing.T) {
	tests := map[string]struct {
		host      string
		loopback  int // code when bound to loopback
		elsewhere int // code when bound to every address
	}{
		"localhost":             {"localhost:8080", 200, 200},
		"localhost in capitals": {"LocalHost", 200, 200},
		"v4":                    {"127.0.0.1", 200, 200},
		"v4 with other port":    {"127.0.0.1:9999", 200, 200},
		"v6":                    {"[::1]:8080", 200, 200},
		"v6 without port":       {"[::1]", 200, 200},
		"rebound name":          {"attacker.example:8080", 403, 200},
		"name below localhost":  {"localhost.attacker.example", 403, 200},
		"name like an address":  {"127.0.0.1.attacker.example", 403, 200},
		"other address":         {"192.168.1.20:8080", 403, 200},
	}
	bind := func(address string) *Server {
		o := options(newFakeCamera(5))
		o.Address = address
		s := NewServer(o)
		start(t, s)
		return s
	}
	loopback, elsewhere := bind("127.0.0.1:0"), bind("0.0.0.0:0")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := client(t)
			for _, path := range []string{"", "snapshot.jpg", "api/v1/status", "metrics"} {
				if got := do(t, c, http.MethodGet, loopback.URL()+path, test.host).code; got != test.loopback {
					t.Errorf("GET /%s on loopback = %d, want %d", path, got, test.loopback)
				}
				if got := do(t, c, http.MethodGet, elsewhere.URL()+path, test.host).code; got != test.elsewhere {
					t.Errorf("GET /%s on every address = %d, want %d", path, got, test.elsewhere)
				}
			}
		})
	}
}

func TestReachable(t *testing.T) {
	tests := map[string]struct{ address, host, want string }{
		"everywhere":        {"rtsp://0.0.0.0:8554/overlay", "jetson.lan:8080", "rtsp://jetson.lan:8554/overlay"},
		"everywhere v6":     {"rtsp://[::]:8554/overlay", "[fd00::7]:8080", "rtsp://[fd00::7]:8554/overlay"},
		"no port":           {"rtsp://0.0.0.0/overlay", "[fd00::7]:8080", "rtsp://[fd00::7]/overlay"},
		"one address":       {"rtsp://10.0.0.5:8554/overlay", "jetson.lan:8080", "rtsp://10.0.0.5:8554/overlay"},
		"no stream":         {"", "jetson.lan", ""},
		"no host in header": {"rtsp://0.0.0.0:8554/overlay", "", "rtsp://0.0.0.0:8554/overlay"},
		"not an address":    {"rtsp://%zz", "jetson.lan", "rtsp://%zz"},
	}
	for name, test := range tests {
		if got := reachable(test.address, test.host); got != test.want {
			t.Errorf("%s: reachable(%q, %q) = %q, want %q", name, test.address, test.host, got, test.want)
		}
	}
}
