// Package synthetic is a camera that films the procedural streets of package scene, for
// demonstrations and tests without hardware or recordings.
package synthetic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/scene"
)

// Defaults where neither the address nor the program names a value.
const (
	defaultWidth, defaultHeight = 1280, 720
	defaultFPS                  = 30
	defaultSeed                 = 1
	// maxFPS is what [camera.ParseURI] accepts.
	maxFPS = 240
)

// cycleTime is how long each style lasts with style=cycle.
const cycleTime = 10 * time.Second

// settings is what an address asks for.
type settings struct {
	scene  scene.Options
	cycle  bool
	paced  bool
	frames int // 0 without end
}

// source films one street. Read's goroutine owns what is not constant.
type source struct {
	settings
	info      camera.Info
	street    *scene.Scene
	pool      *camera.Pool
	closed    chan struct{}
	closeOnce sync.Once

	next  int // frame number
	start time.Time
	timer *time.Timer
}

// Open opens a synthetic: address. The options are
//
//	scene   street, which is the only one
//	style   day (default), dusk, night, fog, rain, snow; or cycle: each for 10 s
//	size    WIDTHxHEIGHT, even, 64 to 4096; by default the wanted size, else 1280x720
//	fps     frames per second; by default the wanted rate, else 30
//	seed    which street, a whole number, 1 by default
//	pace    1 (default): as a live camera, which skips the frames for which the reader
//	        comes too late; 0: every frame, as fast as they are read
//	frames  end after so many frame times; without end by default
//
// Equal addresses film equal pictures: frame n shows the street after n/fps seconds. A
// paced frame is drawn when it is due and Captured when it is ready.
func Open(ctx context.Context, uri camera.URI, want camera.Want) (camera.Source, error) {
	name := uri.Redacted()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	set, err := settingsOf(uri, want)
	if err != nil {
		return nil, camera.Permanent(fmt.Errorf("open %s: %w", name, err))
	}
	street, err := scene.New(set.scene)
	if err != nil {
		return nil, camera.Permanent(fmt.Errorf("open %s: %w", name, err))
	}
	o := set.scene
	return &source{
		settings: set,
		info: camera.Info{
			Name: name, Width: o.Width, Height: o.Height, FPS: o.FPS, Live: set.paced,
		},
		street: street,
		pool:   camera.NewPool(o.Width, o.Height),
		closed: make(chan struct{}),
	}, nil
}

// Info implements [camera.Source].
func (s *source) Info() camera.Info { return s.info }

// Read implements [camera.Source].
func (s *source) Read(ctx context.Context) (*camera.Frame, error) {
	expected := s.next
	if err := s.await(ctx); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("read %s: %w", s.info.Name, err)
	}
	n := s.next
	if s.cycle {
		if err := s.setStyle(n); err != nil {
			return nil, fmt.Errorf("read %s: %w", s.info.Name, err)
		}
	}
	f := s.pool.Get()
	s.street.Render(n, f.Pix, nil)
	f.Captured, f.PTS, f.Skipped = time.Now(), s.due(n), uint64(n-expected)
	s.next++
	return f, nil
}

// Close implements [camera.Source].
func (s *source) Close() error {
	s.closeOnce.Do(func() { close(s.closed) })
	return nil
}

// due is the time of frame n since the start.
func (s *source) due(n int) time.Duration {
	return time.Duration(float64(n) / s.scene.FPS * float64(time.Second))
}

// await blocks until the next frame is due, passing over those that are already
// superseded.
func (s *source) await(ctx context.Context) error {
	select {
	case <-s.closed:
		return fs.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var wait time.Duration
	if s.paced {
		wait = s.schedule()
	}
	if s.frames > 0 && s.next >= s.frames {
		return io.EOF
	}
	if wait <= 0 {
		return nil
	}
	s.timer.Reset(wait)
	defer s.timer.Stop()
	select {
	case <-s.timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return fs.ErrClosed
	}
}

// schedule advances next to the frame that is due now, if there is one, and returns how
// long it is until next is due. Due times count from the start, so that neither drawing
// nor late wake-ups lower the rate.
func (s *source) schedule() time.Duration {
	now := time.Now()
	if s.timer == nil {
		s.start = now
		s.timer = time.NewTimer(0)
		<-s.timer.C
	}
	elapsed := now.Sub(s.start)
	s.next = max(s.next, int(elapsed.Seconds()*s.scene.FPS))
	return s.due(s.next) - elapsed
}

// setStyle chooses the style whose turn it is at frame n.
func (s *source) setStyle(n int) error {
	styles := scene.Styles()
	style := styles[int(s.due(n)/cycleTime)%len(styles)]
	if style == s.street.Options().Style {
		return nil
	}
	return s.street.SetStyle(style)
}

// settingsOf reads the options of an address, whose form [camera.ParseURI] has checked.
func settingsOf(uri camera.URI, want camera.Want) (settings, error) {
	set := settings{
		scene:  scene.Options{Seed: uint64(uri.Int("seed", defaultSeed)), FPS: uri.FPS()},
		paced:  uri.Bool("pace", true),
		frames: int(uri.Int("frames", 0)),
	}
	if v := uri.Text("scene", "street"); v != "street" {
		return set, fmt.Errorf("unknown scene %q: choose street", v)
	}
	switch v := uri.Text("style", ""); v {
	case "":
	case "cycle":
		set.cycle = true
	default:
		var err error
		if set.scene.Style, err = scene.ParseStyle(v); err != nil {
			return set, fmt.Errorf("%w, cycle", err)
		}
	}
	set.scene.Width, set.scene.Height = uri.Size() // scene.New checks the range
	if set.scene.Width == 0 {
		set.scene.Width, set.scene.Height = nearestSize(want)
	}
	if set.scene.FPS == 0 {
		set.scene.FPS = nearestFPS(want)
	}
	return set, nil
}

// nearestSize comes as near as it can to the wanted size.
func nearestSize(want camera.Want) (width, height int) {
	if want.Width <= 0 || want.Height <= 0 {
		return defaultWidth, defaultHeight
	}
	fit := func(side int) int { return min(max(side, 64), 4096) &^ 1 }
	return fit(want.Width), fit(want.Height)
}

func nearestFPS(want camera.Want) float64 {
	if want.FPS >= 0.1 { // not NaN either
		return min(want.FPS, maxFPS)
	}
	return defaultFPS
}
