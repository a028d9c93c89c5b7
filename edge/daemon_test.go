package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/trt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is a daemon on a fake camera and network, with servers on free ports.
type setup struct {
	source *fakeSource
	engine *fakeEngine
	config config.Config
	// sensors are none unless a test sets them.
	sensors *telemetry.Sensors
	log     logBuffer
}

func newSetup() *setup {
	s := &setup{
		source: &fakeSource{frames: 20, end: io.EOF, pool: camera.NewPool(frameWidth, frameHeight)},
		engine: &fakeEngine{},
		config: config.Default(),
	}
	s.config.Stream.RTSP, s.config.Stream.RTPPort = "127.0.0.1:0", 0
	s.config.HTTP.Address = "127.0.0.1:0"
	s.config.Log.Summary = 0
	return s
}

func (s *setup) daemon(t *testing.T) *Daemon {
	t.Helper()
	d, err := New(Options{
		Config: s.config,
		Openers: camera.Openers{"synthetic": func(context.Context, camera.URI, camera.Want) (camera.Source, error) {
			return s.source, nil
		}},
		OpenModel: func(config.Model) (trt.Engine, error) { return s.engine, nil },
		Sensors:   s.sensors,
		Log:       zerolog.New(&s.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// page waits for the page's address, which it returns without a slash at the end.
func (s *setup) page(t *testing.T) (page string) {
	t.Helper()
	eventually(t, "the page's address in the log", func() bool {
		for text := range strings.Lines(s.log.String()) {
			var line struct{ Page string }
			if json.Unmarshal([]byte(text), &line) == nil && line.Page != "" {
				page = strings.TrimSuffix(line.Page, "/")
			}
		}
		return page != ""
	})
	return page
}

// running starts the daemon and returns how to stop it and get its error. It fails the test
// when stopping takes longer than the two seconds that users are promised.
func running(t *testing.T, d *Daemon) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(2 * time.Second):
			t.Fatal("the daemon is still running 2 s after it was told to stop")
			return nil
		}
	}
}

// eventually polls until ok, for state that changes in other goroutines.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestWaitingSourceLosesNothing(t *testing.T) {
	s := newSetup()
	s.config.Output.Masks = filepath.Join(t.TempDir(), "masks")
	s.config.Output.Video = filepath.Join(t.TempDir(), "out.mp4")
	d := s.daemon(t)
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(s.config.Output.Masks, "*"))
	if err != nil || len(files) != 20 {
		t.Fatalf("%d masks, %v; want 20", len(files), err)
	}
	for i := range 20 {
		f, err := os.Open(filepath.Join(s.config.Output.Masks, fmt.Sprintf("picture-%03d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if r, _, _, _ := img.At(3, 3).RGBA(); img.Bounds().Dx() != maskWidth || int(r>>8) != i%2 {
			t.Errorf("mask %d is %v with class %d, want %d×%d with %d", i, img.Bounds(), r>>8, maskWidth, maskHeight, i%2)
		}
	}
	if info, err := os.Stat(s.config.Output.Video); err != nil || info.Size() == 0 {
		t.Errorf("video: %v", err)
	}
	if n := d.one().dropped(); n != 0 {
		t.Errorf("%d frames dropped, want none", n)
	}
}

func TestLiveSourceDropsOldFrames(t *testing.T) {
	s := newSetup()
	tick := make(chan struct{})
	s.source.live, s.source.frames, s.source.tick = true, 0, tick
	s.engine.gate = newGate()
	d := s.daemon(t)
	stop := running(t, d)
	tick <- struct{}{}
	<-s.engine.gate.entered // the network has the first frame, and is stuck in it
	for range 9 {
		tick <- struct{}{}
	}
	eventually(t, "8 frames dropped while the network was busy", func() bool { return d.one().dropped() == 8 })
	s.engine.gate.interrupt()
	eventually(t, "the newest frame shown", func() bool { return newest(d.one()) == 10 })
	if got := s.engine.runs.Load(); got != 2 {
		t.Errorf("%d frames went through the network, want the first and the newest", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestStopsInEveryState(t *testing.T) {
	for name, prepare := range map[string]func(*setup){
		"camera silent": func(s *setup) { s.source.tick = make(chan struct{}) },
		"flowing":       func(s *setup) { s.source.live, s.source.frames = true, 0 },
		"waiting":       func(s *setup) { s.source.frames = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup()
			prepare(s)
			d := s.daemon(t)
			stop := running(t, d)
			if s.source.tick == nil {
				eventually(t, "frames", func() bool { return s.engine.runs.Load() > 3 })
			}
			if err := stop(); err != nil {
				t.Errorf("stopped with %v, want no error", err)
			}
		})
	}
}

func TestTruncatedSourceIsAnErrorAfterItsFrames(t *testing.T) {
	s := newSetup()
	s.source.end = fmt.Errorf("clip.mp4 ends after 20 of 40 frames: %w", camera.ErrTruncated)
	s.config.Output.Masks = t.TempDir()
	err := s.daemon(t).Run(t.Context())
	if !errors.Is(err, camera.ErrTruncated) {
		t.Errorf("error = %v, want ErrTruncated", err)
	}
	files, _ := filepath.Glob(filepath.Join(s.config.Output.Masks, "*.png"))
	if len(files) != 20 {
		t.Errorf("%d masks, want the 20 frames before the end", len(files))
	}
}

func TestNetworkFailureStopsTheDaemon(t *testing.T) {
	for range 50 { // the presenter's end races with the fault
		s := newSetup()
		s.engine.fail = errors.New("out of memory")
		if err := s.daemon(t).Run(t.Context()); !errors.Is(err, s.engine.fail) {
			t.Fatalf("error = %v, want the engine's", err)
		}
	}
}

func TestNotReadyWhileTheNetworkHangs(t *testing.T) {
	s := newSetup()
	tick := make(chan struct{})
	s.source.live, s.source.frames, s.source.tick = true, 0, tick
	s.config.Camera.NoFrame = 100 * time.Millisecond
	s.engine.gate = newGate()
	d := s.daemon(t)
	stop := running(t, d)
	tick <- struct{}{}
	<-s.engine.gate.entered // the network has the frame
	if err := d.ready(); err == nil || !strings.Contains(err.Error(), "segmented") {
		t.Errorf("before the first mask: %v, want that nothing has been segmented", err)
	}
	s.engine.gate.step <- struct{}{}
	eventually(t, "ready after the first mask", func() bool { return d.ready() == nil })
	eventually(t, "not ready when frames come and no masks", func() bool {
		select {
		case tick <- struct{}{}:
		default:
		}
		err := d.ready()
		return err != nil && strings.Contains(err.Error(), "network")
	})
	if err := stop(); err != nil { // in the middle of a frame that takes for ever
		t.Fatal(err)
	}
}

func TestLimits(t *testing.T) {
	t.Run("frames", func(t *testing.T) {
		s := newSetup()
		s.source.frames, s.config.Output.Frames = 0, 7
		s.config.Output.Masks = t.TempDir()
		if err := s.daemon(t).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(s.config.Output.Masks, "*.png"))
		if len(files) != 7 {
			t.Errorf("%d masks, want 7", len(files))
		}
	})
	t.Run("duration", func(t *testing.T) {
		s := newSetup()
		s.source.tick, s.config.Output.Duration = make(chan struct{}), 50*time.Millisecond
		if err := s.daemon(t).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, prepare := range map[string]func(*setup){
		"--rtsp": func(s *setup) { s.config.Stream.RTSP = taken.Addr().String() },
		"--http": func(s *setup) { s.config.HTTP.Address = taken.Addr().String() },
	} {
		s := newSetup()
		prepare(s)
		err := s.daemon(t).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), name) {
			t.Errorf("error = %v, want one that names %s", err, name)
		}
	}
}

func TestPortsAreReleasedWhenAnotherIsInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newSetup()
	s.config.HTTP.Address = taken.Addr().String()
	d := s.daemon(t)
	if err := d.Run(t.Context()); err == nil {
		t.Fatal("ran without its page")
	}
	again, err := net.Listen("tcp", d.rtsp.Addr())
	if err != nil {
		t.Fatalf("the RTSP port is still taken: %v", err)
	}
	again.Close()
}

func TestOutputsThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func(*setup){
		"masks": func(s *setup) { s.config.Output.Masks = filepath.Join(file, "masks") },
		"video": func(s *setup) { s.config.Output.Video = filepath.Join(file, "out.mp4") },
	} {
		s := newSetup()
		prepare(s)
		if err := s.daemon(t).Run(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error = %v, want one that names %s", name, err, file)
		}
		if s.engine.runs.Load() != 0 {
			t.Errorf("%s: frames were processed for nothing", name)
		}
	}
}

func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	if _, body := get(t, url); json.Unmarshal(body, into) != nil {
		t.Fatalf("%s answers %s", url, body)
	}
}

func TestPageShowsTheDaemon(t *testing.T) {
	s := newSetup()
	tick := make(chan struct{})
	s.source.live, s.source.frames, s.source.tick, s.source.skip = true, 0, tick, 2
	d := s.daemon(t)
	stop := running(t, d)
	page := s.page(t)
	if code, body := get(t, page+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz before the first frame = %d %s, want 503", code, body)
	}
	for range 4 { // frame 3 has class 1 everywhere
		tick <- struct{}{}
	}
	eventually(t, "frame 4 shown", func() bool { return newest(d.one()) == 4 })
	if code, body := get(t, page+"/readyz"); code != http.StatusOK {
		t.Errorf("readyz = %d %s, want 200", code, body)
	}
	code, body := get(t, page+"/snapshot.jpg?view=side-by-side")
	if code != http.StatusOK {
		t.Fatalf("snapshot = %d %s", code, body)
	}
	if img, err := jpeg.Decode(bytes.NewReader(body)); err != nil || img.Bounds().Dx() != 2*frameWidth {
		t.Errorf("snapshot: %v", err)
	}
	_, body = get(t, page+"/api/v1/status")
	var st web.Status
	if err := json.Unmarshal(body, &st); err != nil {
		t.Fatal(err)
	}
	source := st.Cameras[0].Source
	if source.State != web.CameraUp || source.Width != frameWidth || source.Frames != 4 ||
		st.Model.Name != "fake" || st.Cameras[0].ClassPixelRatios[1] != 1 || st.Model.Classes[1].Color != "#804080" {
		t.Errorf("status = %s", body)
	}
	_, body = get(t, page+"/metrics")
	for _, want := range []string{
		`robustnet_camera_up{camera="camera"} 1`, `robustnet_frames_dropped_total{camera="camera",stage="capture"} 8`,
		`robustnet_camera_frames_total{camera="camera"} 4`, `robustnet_class_pixel_ratio{camera="camera",class="road"} 1`,
		`robustnet_stage_duration_seconds_count{camera="camera",stage="infer"}`, `backend="fake 1.0"`,
	} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestPicturesAreMadeOncePerFrame(t *testing.T) {
	s := newSetup()
	d := s.daemon(t)
	if err := d.Run(t.Context()); err != nil { // leaves the last frame's numbers, not its picture
		t.Fatal(err)
	}
	if _, _, err := d.one().latest.Picture(t.Context(), view.Overlay, 0); !errors.Is(err, web.ErrNoPicture) {
		t.Errorf("after Run: %v, want ErrNoPicture", err)
	}

	var l latest
	l.init(newSetup().config.Overlay, &fakeEngine{})
	defer l.close()
	sh := newShotPool(maskWidth*maskHeight, 2).get()
	sh.frame = pictureFrame(1)
	l.put(sh)
	a, seq, err := l.Picture(t.Context(), view.Overlay, 0)
	if err != nil || seq != 1 {
		t.Fatal(seq, err)
	}
	b, _, err := l.Picture(t.Context(), view.Overlay, 0)
	if err != nil || &a[0] != &b[0] {
		t.Errorf("the same frame was drawn twice: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := l.Picture(ctx, view.Overlay, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a newer frame: %v, want the deadline", err)
	}
}

// newest is the number of the frame that is shown, 0 while there is none.
func newest(f *feed) uint64 {
	f.latest.mu.Lock()
	defer f.latest.mu.Unlock()
	if f.latest.shot == nil {
		return 0
	}
	return f.latest.shot.frame.Seq
}

// one is the feed of a daemon with one camera, once it runs.
func (d *Daemon) one() *feed {
	for {
		d.mu.Lock()
		feeds := d.feeds
		d.mu.Unlock()
		if len(feeds) > 0 {
			return feeds[0]
		}
		runtime.Gosched()
	}
}

// pictureFrame makes a frame as a camera would.
func pictureFrame(seq uint64) *camera.Frame {
	f := camera.NewPool(frameWidth, frameHeight).Get()
	f.Seq, f.Captured = seq, time.Now()
	return f
}
