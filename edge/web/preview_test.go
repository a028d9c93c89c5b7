package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robustnet-edge/robustnet/edge/view"
)

func TestPreviewParts(t *testing.T) {
	for _, v := range view.All() {
		t.Run(string(v), func(t *testing.T) {
			camera := newFakeCamera(7)
			s := NewServer(options(camera))
			start(t, s)
			resp, err := client(t).Get(s.URL() + "preview.mjpg?view=" + string(v))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
			if err != nil || kind != "multipart/x-mixed-replace" {
				t.Fatalf("Content-Type = %q, %v; want multipart/x-mixed-replace", resp.Header.Get("Content-Type"), err)
			}
			parts := multipart.NewReader(resp.Body, params["boundary"])
			for seq := uint64(7); seq < 12; seq++ {
				part, err := parts.NextRawPart()
				if err != nil {
					t.Fatal(err)
				}
				// Read to its end although no further picture exists yet: a browser shows a
				// part only then.
				body, err := io.ReadAll(part)
				if err != nil {
					t.Fatal(err)
				}
				want := string(camera.picture(v, seq))
				if string(body) != want {
					t.Errorf("part = %q, want %q", body, want)
				}
				if ct := part.Header.Get("Content-Type"); ct != "image/jpeg" {
					t.Errorf("part's Content-Type = %q, want image/jpeg", ct)
				}
				if n := part.Header.Get("Content-Length"); n != strconv.Itoa(len(want)) {
					t.Errorf("part's Content-Length = %s, want %d", n, len(want))
				}
				camera.publish()
			}
		})
	}
}

func TestPreviewEndsWithTheCamera(t *testing.T) {
	camera := newFakeCamera(1)
	camera.fault = errors.New("encoder broke")
	s := NewServer(options(camera))
	start(t, s)
	resp, err := client(t).Get(s.URL() + "preview.mjpg")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	waitForPreviews(t, s, 0)
}

func TestStalledClientIsDropped(t *testing.T) {
	camera := newFakeCamera(0)
	camera.endless, camera.padding = true, 1<<20
	s := NewServer(options(camera))
	s.partTimeout = 50 * time.Millisecond
	start(t, s)
	stalled := dial(t, s)
	request(t, stalled, "GET /preview.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := io.ReadFull(stalled, make([]byte, 100)); err != nil { // it has begun
		t.Fatal(err)
	}
	waitForPreviews(t, s, 0)
}

func TestPreviewsAreBounded(t *testing.T) {
	s := NewServer(options(newFakeCamera(1)))
	start(t, s)
	c := client(t)
	c.Timeout = 0
	var open []*http.Response
	for i := range MaxPreviewViewers {
		resp, err := c.Get(s.URL() + "preview.mjpg")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("preview %d = %d, want 200", i+1, resp.StatusCode)
		}
		open = append(open, resp)
	}
	over := get(t, s, "/preview.mjpg")
	if over.code != http.StatusServiceUnavailable || over.header.Get("Retry-After") == "" || !strings.Contains(over.body, "all 16 previews are taken") {
		t.Errorf("preview beyond the bound = %d %q, want 503", over.code, over.body)
	}
	if got := get(t, s, "/snapshot.jpg").code; got != http.StatusOK {
		t.Errorf("snapshot while all previews are taken = %d, want 200", got)
	}
	open[3].Body.Close()
	waitForPreviews(t, s, MaxPreviewViewers-1)
	resp, err := c.Get(s.URL() + "preview.mjpg")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("preview after another closed = %d, want 200", resp.StatusCode)
	}
}

// TestPreviewRate watches ten virtual seconds of a camera that is far faster than the
// preview may be.
func TestPreviewRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		camera := newFakeCamera(0)
		camera.endless = true
		o := options(camera)
		o.PreviewFPS = 10
		s := NewServer(o)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		w := &countingWriter{}
		if err := s.stream(ctx, w, camera, view.Raw); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stream = %v, want the context's error", err)
		}
		if w.parts < 99 || w.parts > 101 {
			t.Errorf("pictures in 10 s = %d, want 100", w.parts)
		}
	})
}

// countingWriter counts the parts of a preview. Every one is flushed once.
type countingWriter struct{ parts int }

func (w *countingWriter) Header() http.Header              { return http.Header{} }
func (w *countingWriter) WriteHeader(int)                  {}
func (w *countingWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *countingWriter) SetWriteDeadline(time.Time) error { return nil }
func (w *countingWriter) Flush()                           {}
func (w *countingWriter) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "raw ") {
		w.parts++
	}
	return len(p), nil
}
