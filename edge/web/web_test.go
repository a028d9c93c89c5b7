package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/edge/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCamera implements Pictures. Its pictures are the text that picture returns, with
// padding if they should be large.
type fakeCamera struct {
	mu      sync.Mutex
	seq     uint64
	fresh   chan struct{} // closed by the next publish
	fault   error
	endless bool // every call gets a new picture
	padding int
}

func newFakeCamera(frames uint64) *fakeCamera {
	return &fakeCamera{seq: frames, fresh: make(chan struct{})}
}

func (c *fakeCamera) picture(v view.View, seq uint64) []byte {
	return append(fmt.Appendf(nil, "%s %d", v, seq), make([]byte, c.padding)...)
}

func (c *fakeCamera) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	close(c.fresh)
	c.fresh = make(chan struct{})
}

func (c *fakeCamera) Picture(ctx context.Context, v view.View, after uint64) ([]byte, uint64, error) {
	if c.endless {
		c.publish()
	}
	for {
		c.mu.Lock()
		seq, fresh, fault := c.seq, c.fresh, c.fault
		c.mu.Unlock()
		if fault != nil {
			return nil, 0, fault
		}
		if seq != 0 && seq != after {
			return c.picture(v, seq), seq, nil
		}
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-fresh:
		}
	}
}

func age(seconds float64) *float64 { return &seconds }

func fullStatus() Status {
	return Status{
		Version: "v0.1.0", Revision: "44f1d83", UptimeSeconds: 12.5,
		Model: ModelStatus{
			Name: "camvid", Backend: "ONNX Runtime", Input: Size{480, 360}, Mask: Size{240, 180}, Threads: 2,
			Classes: []ClassStatus{{Name: "road", Color: "#804080"}},
		},
		Cameras: []CameraStatus{{
			Name:             "front",
			Source:           SourceStatus{URI: "/dev/video0", State: CameraUp, Width: 1280, Height: 720, FPS: 30, Format: "MJPEG", Frames: 321, LastFrameAgeSeconds: age(0.02)},
			ClassPixelRatios: []float64{0.5},
			Pipeline:         PipelineStatus{FPS: 29.9, LatencyMS: Quantiles{40, 55}, InferMS: Quantiles{30, 35}, OverheadMS: Quantiles{10, 12}, Dropped: map[string]uint64{"infer": 7}},
			Stream:           StreamStatus{RTSPURL: "rtsp://0.0.0.0:8554/overlay", Viewers: 1, Encoder: "x264", BitrateKbps: 2500},
			Output:           &OutputStatus{Video: "out.mp4", Frames: 300},
		}},
		Machine:       &MachineStatus{HottestZone: "gpu-thermal", HottestCelsius: new(62.5), PowerWatts: new(15.6), PowerMode: "MAXN_SUPER", GPULoadRatio: new(0.873), GPUFrequencyHertz: new(918e6), Throttled: "heat"},
		Configuration: ConfigurationStatus{Applied: true},
	}
}

// options returns what a healthy daemon would pass.
func options(camera Pictures) Options {
	return Options{
		Address: "127.0.0.1:0",
		Pictures: func(name string) (Pictures, error) {
			if name != "" && name != "front" {
				return nil, errors.New("there is no camera of this name; there is front")
			}
			return camera, nil
		},
		Status: fullStatus,
		Ready:  func() error { return nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "robustnet_camera_up 1\n")
		}),
		PreviewFPS: 1000,
		Log:        zerolog.Nop(),
	}
}

// start runs a server until the test ends and checks that it stops when told to.
func start(t *testing.T, s *Server) (stop func()) {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run = %v, want nil after its context ended", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run did not return after its context ended")
		}
	})
	t.Cleanup(stop)
	return stop
}

// client does not share connections with other tests.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 0, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport,
		Timeout:   20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

type answer struct {
	code   int
	header http.Header
	body   string
}

func do(t *testing.T, c *http.Client, method, url, host string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func get(t *testing.T, s *Server, path string) answer {
	t.Helper()
	return do(t, client(t), http.MethodGet, s.URL()+path[1:], "")
}

// waitForPreviews asks for the status until it names the wanted number of previews.
func waitForPreviews(t *testing.T, s *Server, want int) {
	t.Helper()
	c := client(t)
	deadline := time.Now().Add(8 * time.Second)
	for {
		var st Status
		if err := json.Unmarshal([]byte(do(t, c, http.MethodGet, s.URL()+"api/v1/status", "").body), &st); err != nil {
			t.Fatal(err)
		}
		if st.Preview.Viewers == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("previews = %d, want %d", st.Preview.Viewers, want)
		}
	}
}
