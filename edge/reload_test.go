package edge

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/trt"
)

func clipSource(frames int) *fakeSource {
	return &fakeSource{frames: frames, end: io.EOF, pool: camera.NewPool(frameWidth, frameHeight)}
}

// change reloads with what edit makes of the configuration in use, which must be accepted.
func (r *reloading) change(t *testing.T, edit func(*config.Config)) {
	t.Helper()
	r.next.Cameras = slices.Clone(r.next.Cameras)
	edit(&r.next)
	r.reload(t)
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.d.refused != nil {
		t.Fatalf("refused: %v", r.d.refused)
	}
}

// A stream stays at its path, with its players, whatever the camera there is called.
func TestStreamsKeepTheirPaths(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource(), "1": liveSource()}, "front", "rear")
	stop := running(t, r.d)
	shown := func() bool {
		f, g := r.d.named("front"), r.d.named("rear")
		return f != nil && g != nil && newest(f) > 0 && newest(g) > 0
	}
	eventually(t, "both are shown", shown)
	front, rear := r.d.named("front").stream, r.d.named("rear").stream
	r.change(t, func(c *config.Config) { c.Cameras[0].Path, c.Cameras[1].Path = "rear", "front" })
	if r.d.named("front").stream != rear || r.d.named("rear").stream != front {
		t.Error("streams did not stay at their paths")
	}
	eventually(t, "both are shown with each other's stream", shown)
	r.change(t, func(c *config.Config) { c.Cameras[0].Name = "door" })
	if r.d.named("door").stream != rear {
		t.Error("a camera with another name lost its stream")
	}
	if _, body := get(t, r.page(t)+"/metrics"); !bytes.Contains(body, []byte(`camera="door"`)) || bytes.Contains(body, []byte(`camera="front"`)) {
		t.Errorf("metrics after another name: %s", body)
	}
	r.next.Cameras = nil // to one camera, at a path that was one of several
	r.change(t, func(c *config.Config) { c.Camera.URI, c.Stream.Path = "synthetic:?seed=0", "rear" })
	if f := r.d.named(config.DefaultName); f == nil || f.stream != rear {
		t.Error("the one camera did not get the stream at its path")
	}
	r.err = errors.New("a fault")
	r.reload(t)
	r.err = nil
	other := r.config.Cameras[0]
	other.Name, other.Path, other.Masks = "other", "rear", "/proc/none"
	r.next.Cameras = []config.Listed{other}
	r.reload(t)
	if f := r.d.named(config.DefaultName); f == nil || f.stream != rear {
		t.Error("a configuration that was refused took the stream away")
	}
	if _, err := r.d.rtsp.Open("rear"); err == nil {
		t.Error("a configuration that was refused closed the stream")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// No mask is written in the place of another: neither while the next pipeline is prepared,
// nor when the camera gets another name.
func TestReloadNumbersMasksOn(t *testing.T) {
	source := liveSource()
	source.nameless = true
	r := newReloading(t, garage{"0": source}, "front")
	masks := t.TempDir()
	r.config.Cameras[0].Masks = masks
	r.next, r.d.o.Config, r.d.config = r.config, r.config, r.config
	stop := running(t, r.d)
	eventually(t, "masks", func() bool { return r.d.named("front") != nil && r.d.named("front").written.masks.Load() > 3 })
	front := r.d.named("front")
	for i := range 5 {
		r.change(t, func(c *config.Config) { c.Overlay.Alpha = float64(i) / 10 })
	}
	r.change(t, func(c *config.Config) { c.Cameras[0].Name = "door" })
	door := r.d.named("door")
	eventually(t, "more masks", func() bool { return door.written.masks.Load() > 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(masks)
	if want := front.written.masks.Load() + door.written.masks.Load(); err != nil || uint64(len(files)) != want {
		t.Errorf("%d masks, %v; want each of %d", len(files), err, want)
	}
}

// A recording takes the next free name, and a configuration that is refused takes none.
func TestNamesOfRecordings(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource()}, "front")
	dir := t.TempDir()
	mine := filepath.Join(dir, "out-2.mp4")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.config.Cameras[0].Video = filepath.Join(dir, "out.mp4")
	r.next, r.d.o.Config, r.d.config = r.config, r.config, r.config
	stop := running(t, r.d)
	recorded := func() bool { return r.d.named("front") != nil && r.d.named("front").written.video.Load() > 3 }
	eventually(t, "pictures are recorded", recorded)
	good := r.next
	r.next.Overlay.Alpha = 0.25
	bad := r.next.Cameras[0]
	bad.Name, bad.Path, bad.Video = "bad", "bad", filepath.Join(mine, "out.mp4")
	r.next.Cameras = append(slices.Clone(r.next.Cameras), bad)
	r.reload(t)
	if strings.Contains(r.log.String(), "recording goes on in another file") {
		t.Error("said that recording goes on elsewhere, though the configuration was refused")
	}
	r.next = good
	r.change(t, func(c *config.Config) { c.Overlay.Alpha = 0.25 })
	before := r.d.named("front").written.video.Load()
	eventually(t, "recording goes on", func() bool { return r.d.named("front").written.video.Load() > before+3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if was, err := os.ReadFile(mine); err != nil || string(was) != "mine" {
		t.Errorf("a file that was there is overwritten: %v", err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if want := []string{mine, filepath.Join(dir, "out-3.mp4"), filepath.Join(dir, "out.mp4")}; !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
}

// A recording that cannot be completed when a reload ends it is told.
func TestReloadTellsOfLostRecording(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource()}, "front")
	dir := filepath.Join(t.TempDir(), "recordings")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r.config.Cameras[0].Video = filepath.Join(dir, "out.mp4")
	r.next, r.d.o.Config, r.d.config = r.config, r.config, r.config
	stop := running(t, r.d)
	eventually(t, "pictures are recorded", func() bool { return r.d.named("front") != nil && r.d.named("front").written.video.Load() > 3 })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	r.change(t, func(c *config.Config) { c.Cameras[0].Video = "" })
	if !strings.Contains(r.log.String(), `"name":"front","error":"recording: rename `) {
		t.Errorf("the log does not tell: %s", r.log.String())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A clip that has ended is ready, and is played again only when something that concerns it has
// changed.
func TestReloadLetsAnEndedClipBe(t *testing.T) {
	clip := clipSource(5)
	r := newReloading(t, garage{"0": clip, "1": liveSource()}, "clip", "live")
	r.config.Cameras[0].Camera.NoFrame = time.Millisecond
	r.next, r.d.o.Config, r.d.config = r.config, r.config, r.config
	stop := running(t, r.d)
	page := r.page(t)
	eventually(t, "the clip has ended, the other camera goes on", func() bool {
		f := r.d.named("clip")
		return f != nil && !r.d.isRunning(f) && newest(r.d.named("live")) > 3
	})
	idle := func() time.Duration { since, _, _ := r.d.named("clip").figures.idle(); return since }
	eventually(t, "its last frame is old", func() bool { return idle() > 20*time.Millisecond })
	if code, body := get(t, page+"/readyz"); code != http.StatusOK {
		t.Errorf("readyz = %d %s, want that a clip which has ended is ready", code, body)
	}
	pipeline := r.d.named("clip").pipeline
	r.change(t, func(c *config.Config) { c.Log.Level = "debug" })
	if r.d.named("clip").pipeline != pipeline {
		t.Error("a clip that did not change was played again")
	}
	clip.n = 0
	r.change(t, func(c *config.Config) { c.Cameras[0].Camera.FPS = 10 })
	eventually(t, "the clip is played with other settings", func() bool { return r.d.named("clip").metrics.Frames() == 10 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// Each camera gives the configured number of frames, however often the configuration is read.
func TestReloadKeepsTheLimit(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource(), "1": &fakeSource{live: true, tick: make(chan struct{}), pool: camera.NewPool(frameWidth, frameHeight)}}, "fast", "silent")
	r.config.Output.Frames = 7
	r.next, r.d.o.Config, r.d.config = r.config, r.config, r.config
	stop := running(t, r.d)
	eventually(t, "one camera is done", func() bool { f := r.d.named("fast"); return f != nil && !r.d.isRunning(f) })
	fast := r.d.named("fast")
	r.change(t, func(c *config.Config) { c.Overlay.Alpha = 0.25 })
	if r.d.isRunning(fast) || fast.shown.Load() != 7 {
		t.Errorf("running %v after %d frames, want the 7 alone", r.d.isRunning(fast), fast.shown.Load())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// The picture of a camera that was replaced is not shown for the next one's.
func TestPicturesAfterReload(t *testing.T) {
	var l latest
	o := newSetup().config.Overlay
	l.init(o, &fakeEngine{})
	defer l.close()
	put := func() {
		sh := newShotPool(maskWidth*maskHeight, 2).get()
		sh.frame = pictureFrame(1) // each camera begins to count at 1
		l.put(sh)
	}
	put()
	before, seq, err := l.Picture(t.Context(), view.Overlay, 0)
	if err != nil {
		t.Fatal(err)
	}
	l.use(o, &fakeEngine{})
	type answer struct {
		jpeg []byte
		err  error
	}
	got := make(chan answer)
	go func() {
		jpeg, _, err := l.Picture(t.Context(), view.Overlay, seq)
		got <- answer{jpeg, err}
	}()
	put()
	if a := <-got; a.err != nil || &a.jpeg[0] == &before[0] {
		t.Errorf("picture of the camera before, or %v", a.err)
	}
}

// A picture that was announced and taken back by a reload is waited for again.
func TestPicturesWhileReloading(t *testing.T) {
	var l latest
	o := newSetup().config.Overlay
	l.init(o, &fakeEngine{})
	sh := newShotPool(maskWidth*maskHeight, 2).get()
	sh.frame = pictureFrame(1)
	l.put(sh)
	l.drawing.Lock() // whoever asks has seen that there is a picture, and waits to draw it
	got := make(chan error)
	go func() {
		_, _, err := l.Picture(t.Context(), view.Overlay, 0)
		got <- err
	}()
	l.drawing.Unlock()
	l.use(o, &fakeEngine{})
	l.close()
	if err := <-got; err != nil && !errors.Is(err, web.ErrNoPicture) {
		t.Error(err)
	}
}

// A failure of the network that has been replaced is not one of the next.
func TestFailureOfWhatWasReplaced(t *testing.T) {
	s := newSetup()
	d := s.daemon(t)
	old := &feed{name: "old", err: networkError{errors.New("broken")}}
	old.pipeline = &pipeline{feed: old}
	now := &feed{name: "now", running: true}
	now.pipeline = &pipeline{feed: now}
	d.feeds = []*feed{now}
	if !d.goesOnWithout(old.pipeline) {
		t.Error("ended with a pipeline that is gone")
	}
	replaced := &pipeline{feed: now}
	now.running, now.err = false, networkError{errors.New("broken")}
	if !d.goesOnWithout(replaced) {
		t.Error("ended with a pipeline that was replaced")
	}
	if d.goesOnWithout(now.pipeline) {
		t.Error("goes on without a network")
	}
}

// A slow network that several cameras share is given the time that their turns take.
func TestReadyWithASlowNetwork(t *testing.T) {
	s := newSetup()
	f := &feed{name: "front", figures: newFigures(), running: true, pipeline: &pipeline{config: s.config}}
	f.camera.lastFrame.Store(time.Now().UnixNano())
	f.figures.add(12*time.Second, time.Second, 0)
	at := (f.figures.frames.next + figuresDepth - 1) % figuresDepth
	f.figures.frames.values[at].done = time.Now().Add(-40 * time.Second)
	if err := f.ready(1); err == nil {
		t.Error("ready, 40 s after a frame of 12 s")
	}
	if err := f.ready(3); err != nil {
		t.Errorf("three cameras with 12 s a frame: %v", err)
	}
}

// The figures of a model that was replaced say nothing of the next.
func TestFiguresBeginAnewWithAModel(t *testing.T) {
	r := newReloading(t, garage{"0": &fakeSource{live: true, tick: make(chan struct{}), pool: camera.NewPool(frameWidth, frameHeight)}}, "front")
	r.d.o.OpenModel = func(config.Model) (trt.Engine, error) { return r.engine, nil }
	stop := running(t, r.d)
	eventually(t, "it runs", func() bool { return r.d.named("front") != nil })
	f := r.d.named("front")
	f.figures.add(time.Second, time.Second, 0)
	r.change(t, func(c *config.Config) { c.Overlay.Alpha = 0.25 })
	if _, _, ok := f.figures.idle(); !ok {
		t.Error("figures are gone with other drawing")
	}
	r.change(t, func(c *config.Config) { c.Model.Path = "other.onnx" })
	if _, _, ok := f.figures.idle(); ok {
		t.Error("figures of the model before are still there")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// Another interval of summaries counts at once.
func TestReloadOfSummaries(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource()}, "front")
	r.config.Log.Summary = time.Hour
	r.next, r.d.o.Config, r.d.config = r.config, r.config, r.config
	stop := running(t, r.d)
	eventually(t, "a picture", func() bool { return r.d.named("front") != nil && newest(r.d.named("front")) > 0 })
	r.change(t, func(c *config.Config) { c.Log.Summary = time.Millisecond })
	eventually(t, "summaries", func() bool { return strings.Count(r.log.String(), `"message":"summary"`) > 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A stop that comes while a reload works is no fault of the configuration.
func TestStopDuringReload(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource()}, "front")
	loading, loaded := make(chan struct{}), make(chan struct{})
	r.d.o.OpenModel = func(m config.Model) (trt.Engine, error) {
		if m.Path != "" {
			close(loading)
			<-loaded
			return &closingEngine{}, nil
		}
		return r.engine, nil
	}
	video := filepath.Join(t.TempDir(), "out.mp4")
	r.next.Model.Path = "other.onnx"
	r.next.Cameras = slices.Clone(r.next.Cameras)
	r.next.Cameras[0].Video = video
	stop := running(t, r.d)
	r.ask <- struct{}{}
	<-loading
	ended := make(chan error)
	go func() { ended <- stop() }()
	pipeline := r.d.named("front").pipeline
	<-pipeline.done // the stop does not wait for the model
	close(loaded)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if log := r.log.String(); strings.Contains(log, "configuration is ") {
		t.Errorf("the configuration was judged: %s", log)
	}
	if r.d.named("front").pipeline != pipeline {
		t.Error("another pipeline was begun after the stop")
	}
}
