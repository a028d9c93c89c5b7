package metrics

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/robustnet-edge/robustnet/camera"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// fixed returns metrics in a state in which every series differs from its neighbours.
func fixed() (*Metrics, *Camera) {
	all := New(Build{Version: "v0.1.0", Revision: "44f1d83", Backend: "ONNX Runtime 1.30.0 CPU"}, nil)
	all.lastSuccess.Set(1_700_000_000)
	all.Reloaded(false)
	m := NewCamera("front", []string{"sky", "building", "road"}, func() (int, uint64) { return 2, 1750 })
	all.Add(m)
	m.CameraUp(true)
	for i := range 3 {
		m.Frame(time.UnixMilli(1_700_000_000_250 + int64(i)*33))
	}
	for i, r := range camera.Reasons() {
		for range i {
			m.Reopened(r)
		}
	}
	for i, d := range Drops() {
		m.Dropped(d, uint64(10+i))
	}
	for s := range stageCount {
		m.ObserveStage(s, 750*time.Microsecond)
		m.ObserveStage(s, time.Duration(s+1)*10*time.Millisecond)
	}
	m.ObserveFrameAge(45 * time.Millisecond)
	m.ObserveFrameAge(7 * time.Second)
	m.ClassRatios([]float64{0.25, 0.125, 0.625})
	return all, m
}

func get(t *testing.T, h http.Handler) string {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil || rec.Code != http.StatusOK {
		t.Fatalf("GET /metrics = %d, %v; want 200", rec.Code, err)
	}
	return string(body)
}

func TestGolden(t *testing.T) {
	const golden = "testdata/metrics.txt"
	m, _ := fixed()
	got := get(t, promhttp.HandlerFor(m.gatherers(), promhttp.HandlerOpts{}))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("metrics differ from %s; run with -update and read the difference. got:\n%s", golden, got)
	}
}

// TestDocumentedNames keeps the names that dashboards and alerts rely on.
func TestDocumentedNames(t *testing.T) {
	m, _ := fixed()
	body := get(t, m.Handler())
	for _, series := range []string{
		`robustnet_build_info{backend="ONNX Runtime 1.30.0 CPU",revision="44f1d83",version="v0.1.0"} 1`,
		`robustnet_config_last_reload_successful 0`,
		`robustnet_config_last_reload_success_timestamp_seconds 1.7e+09`,
		`robustnet_config_reloads_total{result="applied"} 0`,
		`robustnet_config_reloads_total{result="refused"} 1`,
		`robustnet_camera_up{camera="front"} 1`,
		`robustnet_camera_frames_total{camera="front"} 3`,
		`robustnet_camera_last_frame_timestamp_seconds{camera="front"} 1.700000000316e+09`,
		`robustnet_camera_reopens_total{camera="front",reason="eof"} 0`,
		`robustnet_camera_reopens_total{camera="front",reason="stalled"} 1`,
		`robustnet_camera_reopens_total{camera="front",reason="gone"} 2`,
		`robustnet_camera_reopens_total{camera="front",reason="busy"} 3`,
		`robustnet_camera_reopens_total{camera="front",reason="denied"} 4`,
		`robustnet_camera_reopens_total{camera="front",reason="error"} 5`,
		`robustnet_frames_dropped_total{camera="front",stage="capture"} 10`,
		`robustnet_frames_dropped_total{camera="front",stage="infer"} 11`,
		`robustnet_frames_dropped_total{camera="front",stage="overlay"} 12`,
		`robustnet_frames_dropped_total{camera="front",stage="encode"} 13`,
		`robustnet_stage_duration_seconds_count{camera="front",stage="capture"} 2`,
		`robustnet_stage_duration_seconds_sum{camera="front",stage="preprocess"} 0.02075`,
		`robustnet_stage_duration_seconds_bucket{camera="front",stage="infer",le="0.001"} 1`,
		`robustnet_stage_duration_seconds_bucket{camera="front",stage="postprocess",le="2"} 2`,
		`robustnet_stage_duration_seconds_count{camera="front",stage="overlay"} 2`,
		`robustnet_stage_duration_seconds_count{camera="front",stage="encode"} 2`,
		`robustnet_frame_age_seconds_bucket{camera="front",le="0.05"} 1`,
		`robustnet_frame_age_seconds_bucket{camera="front",le="5"} 1`,
		`robustnet_frame_age_seconds_count{camera="front"} 2`,
		`robustnet_rtsp_clients{camera="front"} 2`,
		`robustnet_stream_sent_bytes_total{camera="front"} 1750`,
		`robustnet_class_pixel_ratio{camera="front",class="road"} 0.625`,
	} {
		if !strings.Contains(body, "\n"+series+"\n") {
			t.Errorf("missing: %s", series)
		}
	}
	for _, collector := range []string{"go_goroutines ", "process_resident_memory_bytes "} {
		if !strings.Contains(body, "\n"+collector) {
			t.Errorf("missing: %s", collector)
		}
	}
}

func TestLint(t *testing.T) {
	m, _ := fixed()
	problems, err := testutil.GatherAndLint(m.gatherers())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestSeriesExistFromTheStart guards rate() and alerts, which miss the first increment of
// a series that appears with it.
func TestSeriesExistFromTheStart(t *testing.T) {
	fresh := New(Build{}, nil)
	fresh.Add(NewCamera("front", []string{"sky", "building", "road"}, nil))
	got, err := testutil.GatherAndCount(fresh.gatherers())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := fixed()
	want, err := testutil.GatherAndCount(m.gatherers())
	if err != nil {
		t.Fatal(err)
	}
	if got != want || got == 0 {
		t.Errorf("series before the first frame = %d, afterwards %d; want the same", got, want)
	}
}

func TestReadBack(t *testing.T) {
	all, m := fixed()
	if got := m.Frames(); got != 3 {
		t.Errorf("Frames = %d, want 3", got)
	}
	if got := m.Reopens(); got != 0+1+2+3+4+5 {
		t.Errorf("Reopens = %d, want 15", got)
	}
	if got := m.DroppedCount(DropOverlay); got != 12 {
		t.Errorf("DroppedCount(overlay) = %d, want 12", got)
	}
	m.CameraUp(false)
	if body := get(t, all.Handler()); !strings.Contains(body, "\nrobustnet_camera_up{camera=\"front\"} 0\n") {
		t.Error("robustnet_camera_up is not 0 after CameraUp(false)")
	}
}

// TestCamerasComeAndGo: a reload adds cameras, takes others out, and may bring another model.
func TestCamerasComeAndGo(t *testing.T) {
	m, front := fixed()
	rear := NewCamera("rear", []string{"sky"}, nil)
	rear.Frame(time.Now())
	m.Add(rear)
	front.SetClasses([]string{"tree", "sky"})
	front.ClassRatios([]float64{0.75, 0.25})
	m.SetBuild(Build{Backend: "TensorRT 10.3.0"})
	m.Reloaded(true)
	body := get(t, m.Handler())
	for _, want := range []string{
		`robustnet_camera_frames_total{camera="front"} 3`, `robustnet_camera_frames_total{camera="rear"} 1`,
		`robustnet_class_pixel_ratio{camera="front",class="tree"} 0.75`,
		`robustnet_build_info{backend="TensorRT 10.3.0",revision="",version=""} 1`,
		`robustnet_config_last_reload_successful 1`, `robustnet_config_reloads_total{result="applied"} 1`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(body, `class="building"`) || strings.Contains(body, "ONNX Runtime") {
		t.Error("the classes or the library of the model before are still there")
	}
	m.Add(NewCamera("rear", []string{"sky"}, nil))
	m.Remove(front)
	m.Remove(rear) // another one has its place
	if body := get(t, m.Handler()); strings.Contains(body, `"front"`) || !strings.Contains(body, `"rear"`) {
		t.Error("removing a camera left it or took another")
	}
}

// TestHostileClassNames: names come from a model file, which may hold anything.
func TestHostileClassNames(t *testing.T) {
	m := New(Build{}, nil)
	c := NewCamera("front", []string{"bad\xff", "", "two\nlines", "twin", "twin"}, nil)
	c.ClassRatios(make([]float64, 100))
	m.Add(c)
	body := get(t, m.Handler())
	for _, series := range []string{`class="bad` + "\uFFFD" + `"`, `class=""`, `class="two\nlines"`, `class="twin"`} {
		if !strings.Contains(body, `robustnet_class_pixel_ratio{camera="front",`+series+"}") {
			t.Errorf("missing: robustnet_class_pixel_ratio with %s", series)
		}
	}
}

func TestFramesCostNoAllocation(t *testing.T) {
	_, m := fixed()
	captured, ratios := time.Now(), []float64{0.5, 0.25, 0.25}
	got := testing.AllocsPerRun(100, func() {
		m.CameraUp(true)
		m.Frame(captured)
		m.Dropped(DropInfer, 1)
		for s := range stageCount {
			m.ObserveStage(s, 5*time.Millisecond)
		}
		m.ObserveFrameAge(40 * time.Millisecond)
		m.ClassRatios(ratios)
	})
	if got != 0 {
		t.Errorf("allocations for a frame = %v, want 0", got)
	}
}

func BenchmarkFrame(b *testing.B) {
	_, m := fixed()
	captured := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		m.Frame(captured)
		for s := range stageCount {
			m.ObserveStage(s, 5*time.Millisecond)
		}
		m.ObserveFrameAge(40 * time.Millisecond)
	}
}
