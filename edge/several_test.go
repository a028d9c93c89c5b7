package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/trt"
)

// listed makes a configuration of synthetic cameras, whose seeds tell them apart.
func (s *setup) listed(names ...string) {
	for i, name := range names {
		c := s.config.Camera
		c.URI = fmt.Sprintf("synthetic:?seed=%d", i)
		s.config.Cameras = append(s.config.Cameras, config.Listed{Name: name, Camera: c, Path: name})
	}
}

// garage is several fake cameras by their seeds.
type garage map[string]*fakeSource

func (g garage) open(_ context.Context, uri camera.URI, _ camera.Want) (camera.Source, error) {
	s := g[uri.Text("seed", "")]
	if s == nil {
		return nil, camera.Permanent(errors.New("no such camera"))
	}
	return s, nil
}

func liveSource() *fakeSource {
	return &fakeSource{live: true, pool: camera.NewPool(frameWidth, frameHeight)}
}

// named is a feed of a running daemon, nil if there is none of this name.
func (d *Daemon) named(name string) *feed {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.feeds {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Cameras get the same number of frames through the network, however fast they are.
func TestCamerasShareTheNetwork(t *testing.T) {
	s := newSetup()
	s.listed("front", "rear")
	slow := make(chan struct{})
	rear := liveSource()
	rear.tick = slow
	d := s.garage(t, garage{"0": liveSource(), "1": rear}, func() { s.engine.gate = newGate() })
	stop := running(t, d)
	gate := s.engine.gate
	<-gate.entered // the front camera's first frame
	for i := range 6 {
		select { // the rear camera has a frame waiting, and only one
		case slow <- struct{}{}:
		case <-time.After(10 * time.Second):
			t.Fatal("the rear camera is not read")
		}
		eventually(t, "the rear frame waits", func() bool { return d.named("rear").metrics.Frames() == uint64(i+1) })
		before := d.named("rear").figures.count()
		gate.step <- struct{}{} // front
		<-gate.entered
		gate.step <- struct{}{} // rear, though front has had newer frames all the time
		<-gate.entered
		eventually(t, "the rear frame is next", func() bool { return d.named("rear").figures.count() == before+1 })
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func (f *figures) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frames.n
}

// garage makes a daemon with several cameras.
func (s *setup) garage(t *testing.T, g garage, more ...func()) *Daemon {
	t.Helper()
	for _, f := range more {
		f()
	}
	d := s.daemon(t)
	d.o.Openers = camera.Openers{"synthetic": g.open}
	return d
}

func TestOneCameraFailsAndTheOtherGoesOn(t *testing.T) {
	s := newSetup()
	s.listed("front", "rear", "gone")
	d := s.garage(t, garage{"0": liveSource(), "1": liveSource()})
	stop := running(t, d)
	page := s.page(t)
	eventually(t, "front and rear are shown", func() bool {
		return newest(d.named("front")) > 3 && newest(d.named("rear")) > 3
	})
	eventually(t, "the third is given up", func() bool { return strings.Contains(s.log.String(), "camera is given up") })
	_, body := get(t, page+"/api/v1/status")
	for _, want := range []string{`"name":"front"`, `"name":"rear"`, `"state":"failed"`, "no such camera"} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("status lacks %s: %s", want, body)
		}
	}
	if code, body := get(t, page+"/readyz"); code != http.StatusServiceUnavailable || !strings.HasPrefix(string(body), "gone: given up") {
		t.Errorf("readyz = %d %s, want 503 that names the camera", code, body)
	}
	if code, _ := get(t, page+"/snapshot.jpg?camera=rear"); code != http.StatusOK {
		t.Errorf("snapshot of rear = %d", code)
	}
	if code, body := get(t, page+"/snapshot.jpg?camera=x"); code != http.StatusNotFound || !bytes.Contains(body, []byte("front, rear, gone")) {
		t.Errorf("snapshot of a camera that is not there = %d %s", code, body)
	}
	if _, body := get(t, page+"/metrics"); !bytes.Contains(body, []byte(`robustnet_camera_up{camera="rear"} 1`)) ||
		!bytes.Contains(body, []byte(`robustnet_camera_up{camera="gone"} 0`)) {
		t.Errorf("metrics %s", body)
	}
	if err := stop(); err != nil {
		t.Errorf("error = %v after a stop that was asked for; the camera's was told when it failed", err)
	}
}

func TestEndsWithTheLastCamera(t *testing.T) {
	s := newSetup()
	s.listed("a", "b")
	clip := func() *fakeSource {
		return &fakeSource{frames: 5, end: io.EOF, pool: camera.NewPool(frameWidth, frameHeight)}
	}
	for i := range s.config.Cameras {
		s.config.Cameras[i].Masks = filepath.Join(t.TempDir(), s.config.Cameras[i].Name)
	}
	if err := s.garage(t, garage{"0": clip(), "1": clip()}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.config.Cameras {
		if files, _ := filepath.Glob(filepath.Join(c.Masks, "*.png")); len(files) != 5 {
			t.Errorf("%s: %d masks, want 5", c.Name, len(files))
		}
	}
}

func TestNetworkFailureEndsAllCameras(t *testing.T) {
	s := newSetup()
	s.listed("a", "b")
	d := s.garage(t, garage{"0": liveSource(), "1": liveSource()}, func() { s.engine.fail = errors.New("out of memory") })
	if err := d.Run(t.Context()); !errors.Is(err, s.engine.fail) {
		t.Errorf("error = %v, want the engine's", err)
	}
}

// reloading is a daemon whose configuration a test changes.
type reloading struct {
	*setup
	d    *Daemon
	ask  chan struct{}
	next config.Config
	err  error
}

func newReloading(t *testing.T, g garage, names ...string) *reloading {
	t.Helper()
	r := &reloading{setup: newSetup(), ask: make(chan struct{})}
	r.listed(names...)
	r.d = r.garage(t, g)
	r.d.o.Reload = r.ask
	r.d.o.Load = func() (config.Config, error) { return r.next, r.err }
	r.next = r.config
	return r
}

// reload asks for it and waits until it is done.
func (r *reloading) reload(t *testing.T) {
	t.Helper()
	before := strings.Count(r.log.String(), "configuration is ")
	r.ask <- struct{}{}
	eventually(t, "the configuration is judged", func() bool {
		return strings.Count(r.log.String(), "configuration is ") > before
	})
}

func TestReload(t *testing.T) {
	g := garage{"0": liveSource(), "1": liveSource(), "2": liveSource()}
	r := newReloading(t, g, "front", "rear")
	stop := running(t, r.d)
	page := r.page(t)
	eventually(t, "both are shown", func() bool { return newest(r.d.named("front")) > 3 && newest(r.d.named("rear")) > 3 })
	front, rear := r.d.named("front"), r.d.named("rear")
	frontPipeline, stream := front.pipeline, rear.stream
	frames := rear.metrics.Frames()

	r.next = r.config
	r.next.Cameras = append([]config.Listed{}, r.config.Cameras...)
	r.next.Cameras[1].Camera.URI = "synthetic:?seed=2" // another camera behind
	side := r.config.Cameras[0]
	side.Name, side.Path = "side", "side"
	side.Camera.URI = "synthetic:?seed=1"
	r.next.Cameras = append(r.next.Cameras, side)
	r.reload(t)
	if r.d.named("front").pipeline != frontPipeline {
		t.Error("a camera that did not change was begun anew")
	}
	if now := r.d.named("rear"); now != rear || now.stream != stream {
		t.Error("a camera with another address lost its stream")
	}
	eventually(t, "the new camera is shown, and the changed one goes on", func() bool {
		return r.d.named("side") != nil && newest(r.d.named("side")) > 0 && rear.metrics.Frames() > frames+5
	})

	r.next.Cameras = r.next.Cameras[:2]
	r.next.Overlay.Visualize = view.SideBySide
	r.next.HTTP.PreviewFPS = 3
	r.reload(t)
	if r.d.named("side") != nil {
		t.Error("the camera that was taken out is still there")
	}
	if _, body := get(t, page+"/metrics"); bytes.Contains(body, []byte(`camera="side"`)) || !bytes.Contains(body, []byte(`robustnet_config_reloads_total{result="applied"} 2`)) {
		t.Errorf("metrics after two reloads: %s", body)
	}
	eventually(t, "the front camera is shown again", func() bool { return newest(front) > 0 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newReloading(t, garage{"0": liveSource()}, "front")
	models := map[string]*fakeEngine{"": r.engine}
	r.d.o.OpenModel = func(m config.Model) (trt.Engine, error) {
		if e := models[m.Path]; e != nil {
			return e, nil
		}
		return nil, errors.New("no model at " + m.Path)
	}
	stop := running(t, r.d)
	page := r.page(t)
	eventually(t, "a picture", func() bool { return newest(r.d.named("front")) > 0 })
	pipeline := r.d.named("front").pipeline
	for name, c := range map[string]struct {
		change func(*config.Config)
		err    error
		want   string
	}{
		"does not load":       {func(*config.Config) {}, errors.New("edge.yaml:3:8: camera.fps is x"), "edge.yaml:3:8"},
		"a port":              {func(c *config.Config) { c.Stream.RTSP, c.HTTP.Address = "127.0.0.1:1", "127.0.0.1:2" }, nil, "stream.rtsp, http.address cannot change while the daemon runs; restart it"},
		"no model":            {func(c *config.Config) { c.Model.Path = "none.onnx" }, nil, "no model at none.onnx"},
		"output not writable": {func(c *config.Config) { c.Cameras[0].Masks = filepath.Join(file, "masks") }, nil, "camera front: write masks"},
		"output of a new one": {func(c *config.Config) {
			c.Cameras = append(c.Cameras, config.Listed{Name: "new", Camera: c.Cameras[0].Camera, Path: "new", Video: filepath.Join(file, "out.mp4")})
		}, nil, "camera new: recording"},
	} {
		r.next, r.err = r.config, c.err
		r.next.Cameras = append([]config.Listed{}, r.config.Cameras...)
		c.change(&r.next)
		r.reload(t)
		var st web.Status
		getJSON(t, page+"/api/v1/status", &st)
		if st.Configuration.Applied || !strings.Contains(st.Configuration.Error, c.want) {
			t.Errorf("%s: status of the configuration %+v, want an error with %q", name, st.Configuration, c.want)
		}
		if len(st.Cameras) != 1 || r.d.named("front").pipeline != pipeline {
			t.Errorf("%s: the configuration before is not in use any more", name)
		}
		if _, body := get(t, page+"/metrics"); !bytes.Contains(body, []byte("robustnet_config_last_reload_successful 0")) || bytes.Contains(body, []byte(`camera="new"`)) {
			t.Errorf("%s: the metrics do not say so", name)
		}
	}
	r.next, r.err = r.config, nil
	r.reload(t)
	var st web.Status
	if getJSON(t, page+"/api/v1/status", &st); !st.Configuration.Applied {
		t.Errorf("after a good configuration: %+v", st.Configuration)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A new model takes the place of the one before, which is closed when nothing uses it.
func TestReloadOfTheModel(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource(), "1": liveSource()}, "front", "rear")
	other := &closingEngine{}
	r.d.o.OpenModel = func(m config.Model) (trt.Engine, error) {
		if m.Path == "" {
			return r.engine, nil
		}
		return other, nil
	}
	stop := running(t, r.d)
	page := r.page(t)
	eventually(t, "a picture", func() bool { return newest(r.d.named("front")) > 0 })
	r.next.Model.Path = "other.onnx"
	r.reload(t)
	eventually(t, "pictures of the other model", func() bool {
		return other.runs.Load() > 4 && newest(r.d.named("front")) > 0 && newest(r.d.named("rear")) > 0
	})
	runs := r.engine.runs.Load()
	_, body := get(t, page+"/metrics")
	if !bytes.Contains(body, []byte(`class="tree"`)) || bytes.Contains(body, []byte(`class="road"`)) || !bytes.Contains(body, []byte(`backend="other 2.0"`)) {
		t.Errorf("metrics of the other model: %s", body)
	}
	if code, _ := get(t, page+"/snapshot.jpg?camera=rear"); code != http.StatusOK {
		t.Errorf("snapshot with the other model = %d", code)
	}
	if got := r.engine.runs.Load(); got != runs {
		t.Errorf("the model before still gets frames: %d, then %d", runs, got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if !other.closed.Load() {
		t.Error("the model was not closed")
	}
}

// What has been recorded is not overwritten by what is recorded after a reload.
func TestReloadKeepsRecordings(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource()}, "front")
	dir := t.TempDir()
	video, masks := filepath.Join(dir, "out.mp4"), filepath.Join(dir, "masks")
	r.config.Cameras[0].Video, r.config.Cameras[0].Masks = video, masks
	r.d.o.Config, r.d.config = r.config, r.config
	stop := running(t, r.d)
	f := func() *feed { return r.d.named("front") }
	eventually(t, "pictures are recorded", func() bool { return f() != nil && f().written.video.Load() > 3 })
	r.next = r.config
	r.next.Overlay.Alpha = 0.25
	r.reload(t)
	recorded := f().written.video.Load()
	eventually(t, "recording goes on", func() bool { return f().written.video.Load() > recorded+3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{video, filepath.Join(dir, "out-2.mp4")} {
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Errorf("recording %s: %v", name, err)
		}
	}
	files, err := os.ReadDir(masks)
	if err != nil || uint64(len(files)) != f().written.masks.Load() {
		t.Errorf("%d masks, %v; want each of %d", len(files), err, f().written.masks.Load())
	}
}
