package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"html"
	"image/jpeg"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// request returns an open answer. Its connection is closed with the body, so that it is
// no goroutine too many when the daemon has ended.
func request(t *testing.T, url string) *http.Response {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: patience}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// get returns the body of a good answer.
func (a addresses) get(t *testing.T, path string) []byte {
	t.Helper()
	answer := request(t, strings.TrimSuffix(a.page, "/")+path)
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", path, answer.Status, body)
	}
	return body
}

// metric returns the value of a series, or the sum over a metric's labels.
func (a addresses) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	found := false
	for line := range strings.Lines(string(a.get(t, "/metrics"))) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ') // labels may hold spaces, too
		series, value := line[:max(space, 0)], line[space+1:]
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %s is %q", series, value)
		}
		sum, found = sum+v, true
	}
	if !found {
		t.Fatalf("there is no metric %s", name)
	}
	return sum
}

func (a addresses) status(t *testing.T) (s web.Status) {
	t.Helper()
	if err := json.Unmarshal(a.get(t, "/api/v1/status"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// camera is the state of the first camera.
func (a addresses) camera(t *testing.T) web.CameraStatus {
	t.Helper()
	return a.status(t).Cameras[0]
}

// showFrames waits until the daemon has segmented so many frames.
func (a addresses) showFrames(t *testing.T, n float64) {
	t.Helper()
	eventually(t, "frames are segmented", func() bool { return a.metric(t, "robustnet_frame_age_seconds_count") >= n })
}

func TestPageAndPictures(t *testing.T) {
	const width, height = 320, 180
	d := start(t, "--camera", "synthetic:?size=320x180&fps=15", "--model", writeModel(t, trttest.Options{}))
	d.showFrames(t, 1)

	if page := html.UnescapeString(string(d.get(t, "/"))); !strings.Contains(page, d.rtsp) {
		t.Errorf("the page does not name %s:\n%s", d.rtsp, page)
	}
	for query, size := range map[string][2]int{
		"":                   {width, height},
		"?view=overlay":      {width, height},
		"?view=raw":          {width, height},
		"?view=mask":         {width, height},
		"?view=side-by-side": {2 * width, height},
	} {
		img, err := jpeg.Decode(bytes.NewReader(d.get(t, "/snapshot.jpg"+query)))
		if err != nil {
			t.Errorf("snapshot %q: %v", query, err)
			continue
		}
		if got := img.Bounds().Size(); got.X != size[0] || got.Y != size[1] {
			t.Errorf("snapshot %q is %v, want %v", query, got, size)
		}
	}
	if n := d.differentPreviews(t, 4); n < 3 {
		t.Errorf("%d different pictures among 4 of the preview, want at least 3", n)
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if got := d.get(t, path); string(got) != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	if code, stdout, stderr := execute(t, "healthz", "--http", d.host()); code != cli.OK || stdout != "ready\n" {
		t.Errorf("robustnet-edge healthz: exit code %d, %q, %q; want 0 and ready", code, stdout, stderr)
	}
	d.stop()
}

// differentPreviews counts the different pictures among the first n of the live preview.
func (a addresses) differentPreviews(t *testing.T, n int) int {
	t.Helper()
	answer := request(t, a.page+"preview.mjpg")
	defer answer.Body.Close()
	kind, params, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/x-mixed-replace" {
		t.Fatalf("the preview is of type %q, %v", kind, err)
	}
	parts := multipart.NewReader(answer.Body, params["boundary"])
	different := map[[sha256.Size]byte]bool{}
	for i := range n {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatalf("picture %d of the preview: %v", i, err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatalf("picture %d of the preview: %v", i, err)
		}
		if _, err := jpeg.Decode(bytes.NewReader(content)); err != nil {
			t.Errorf("picture %d of the preview: %v", i, err)
		}
		different[sha256.Sum256(content)] = true
	}
	return len(different)
}

// The figures of /metrics and /api/v1/status follow what happens.
func TestFigures(t *testing.T) {
	d := start(t, "--camera", "synthetic:?size=320x180&fps=15", "--model", writeModel(t, trttest.Options{}))
	d.showFrames(t, 1)
	for name, want := range map[string]float64{
		"robustnet_build_info":           1,
		"robustnet_camera_up":            1,
		"robustnet_camera_reopens_total": 0,
		"robustnet_rtsp_clients":         0,
	} {
		if got := d.metric(t, name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	p := play(t, d.rtsp, "tcp", 320, 180)
	p.take(1)
	if got := d.metric(t, "robustnet_rtsp_clients"); got != 1 {
		t.Errorf("robustnet_rtsp_clients = %v while one plays, want 1", got)
	}
	growing := []string{
		"robustnet_camera_frames_total", "robustnet_frame_age_seconds_count", "robustnet_stream_sent_bytes_total",
		`robustnet_stage_duration_seconds_count{camera="camera",stage="infer"}`, `robustnet_stage_duration_seconds_count{camera="camera",stage="encode"}`,
	}
	for _, name := range growing {
		first := d.metric(t, name)
		eventually(t, name+" grows", func() bool { return d.metric(t, name) > first })
	}

	s := d.status(t)
	c := s.Cameras[0]
	if c.Source.State != web.CameraUp || c.Source.Width != 320 || c.Source.Height != 180 || c.Source.FPS != 15 || c.Source.Frames == 0 {
		t.Errorf("status of the camera %+v, want it up with 320×180 at 15 frames/s", c.Source)
	}
	if !strings.HasPrefix(c.Source.URI, "synthetic:") || c.Source.LastFrameAgeSeconds == nil {
		t.Errorf("status of the camera %+v, want a synthetic one with the age of a frame", c.Source)
	}
	if c.Stream.RTSPURL != d.rtsp || c.Stream.Viewers != 1 || c.Stream.SentBytes == 0 {
		t.Errorf("status of the stream %+v, want one viewer of %s", c.Stream, d.rtsp)
	}
	var covered float64
	for _, ratio := range c.ClassPixelRatios {
		covered += ratio
	}
	if len(s.Model.Classes) != 11 || len(c.ClassPixelRatios) != 11 || covered < 0.999 || covered > 1.001 {
		t.Errorf("%d classes cover %v of the mask, want 11 that cover all", len(s.Model.Classes), covered)
	}
	if c.Pipeline.FPS <= 0 || c.Pipeline.LatencyMS.P95 <= 0 || c.Pipeline.LatencyMS.P50 > c.Pipeline.LatencyMS.P95 {
		t.Errorf("status of the pipeline %+v, want a rate and a latency", c.Pipeline)
	}
	if c.Output != nil {
		t.Errorf("status of the output %+v, want none without --output and --masks", c.Output)
	}
	p.stop()
	eventually(t, "the player is counted out", func() bool { return d.metric(t, "robustnet_rtsp_clients") == 0 })
	d.stop()
}
