package synthetic_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/synthetic"
	"github.com/robustnet-edge/robustnet/scene"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, address string) camera.Source {
	t.Helper()
	uri, err := camera.ParseURI(address)
	if err != nil {
		t.Fatalf("ParseURI(%q): %v", address, err)
	}
	s, err := synthetic.Open(t.Context(), uri, camera.Want{})
	if err != nil {
		t.Fatalf("Open(%q): %v", address, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func read(t testing.TB, s camera.Source) *camera.Frame {
	t.Helper()
	f, err := s.Read(t.Context())
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return f
}

func TestDefaultsAndWishes(t *testing.T) {
	tests := []struct {
		address string
		want    camera.Want
		info    camera.Info
	}{
		{"synthetic:", camera.Want{}, camera.Info{Width: 1280, Height: 720, FPS: 30, Live: true}},
		{"synthetic:", camera.Want{Width: 322, Height: 241, FPS: 12.5}, camera.Info{Width: 322, Height: 240, FPS: 12.5, Live: true}},
		{"synthetic:", camera.Want{Width: 9000, Height: 10, FPS: 1e9}, camera.Info{Width: 4096, Height: 64, FPS: 240, Live: true}},
		{"synthetic:", camera.Want{Width: -4, FPS: math.NaN()}, camera.Info{Width: 1280, Height: 720, FPS: 30, Live: true}},
		{"synthetic:?size=128x96&fps=5&pace=0&frames=7", camera.Want{Width: 640, Height: 480, FPS: 9}, camera.Info{Width: 128, Height: 96, FPS: 5}},
	}
	for _, tt := range tests {
		uri, err := camera.ParseURI(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		s, err := synthetic.Open(t.Context(), uri, tt.want)
		if err != nil {
			t.Errorf("Open(%s, %+v): %v", tt.address, tt.want, err)
			continue
		}
		got := s.Info()
		if got.Name == "" {
			t.Errorf("Open(%s): Info has no name", tt.address)
		}
		got.Name = ""
		if got != tt.info {
			t.Errorf("Open(%s, %+v).Info() = %+v, want %+v", tt.address, tt.want, got, tt.info)
		}
		s.Close()
	}
}

func TestEveryFrameWithoutPace(t *testing.T) {
	s := open(t, "synthetic:?style=rain&seed=-3&size=128x96&fps=10&pace=0&frames=12")
	seed := int64(-3)
	reference, err := scene.New(scene.Options{Width: 128, Height: 96, FPS: 10, Style: scene.Rain, Seed: uint64(seed)})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 128*96*3)
	for n := range 12 {
		before := time.Now()
		f := read(t, s)
		reference.Render(n, want, nil)
		if !bytes.Equal(f.Pix, want) {
			t.Errorf("frame %d is not the street after %d/10 s", n, n)
		}
		if pts := time.Duration(n) * 100 * time.Millisecond; f.PTS != pts {
			t.Errorf("frame %d has PTS %v, want %v", n, f.PTS, pts)
		}
		if f.Captured.Before(before) || f.Captured.After(time.Now()) {
			t.Errorf("frame %d was captured at %v, not while it was read", n, f.Captured)
		}
		f.Release()
	}
	if f, err := s.Read(t.Context()); err != io.EOF {
		t.Errorf("Read after the last frame = %v, %v, want io.EOF", f, err)
	}
}

func TestPacedFramesKeepTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "synthetic:?size=64x64&fps=20&frames=40")
		start := time.Now()
		var behind uint64 // delivered or skipped
		next := func(wantAt, wantPTS time.Duration) {
			t.Helper()
			f := read(t, s)
			defer f.Release()
			if number := uint64(f.PTS / (50 * time.Millisecond)); f.Skipped != number-behind {
				t.Errorf("frame with PTS %v says that it skips %d frames, want %d", f.PTS, f.Skipped, number-behind)
			}
			behind += f.Skipped + 1
			if at := time.Since(start); at != wantAt || f.PTS != wantPTS || !f.Captured.Equal(time.Now()) {
				t.Errorf("frame with PTS %v came at %v captured at %v, want PTS %v at %v", f.PTS, at, f.Captured.Sub(start), wantPTS, wantAt)
			}
		}
		const ms = time.Millisecond
		next(0, 0)
		next(50*ms, 50*ms)
		time.Sleep(30 * ms) // a reader that is busy, but not for too long, loses nothing
		next(100*ms, 100*ms)
		time.Sleep(70 * ms) // late, and the frame is still the newest
		next(170*ms, 150*ms)
		next(200*ms, 200*ms)
		time.Sleep(333 * ms) // too late for several
		next(533*ms, 500*ms)
		next(550*ms, 550*ms)
		time.Sleep(1500 * ms)
		if f, err := s.Read(t.Context()); err != io.EOF {
			t.Errorf("Read after the end of the schedule = %v, %v, want io.EOF", f, err)
		}
	})
}

func TestCloseAndCancelEndAWaitingRead(t *testing.T) {
	ends := map[string]struct {
		end  func(s camera.Source, cancel func())
		want error
	}{
		"close":  {func(s camera.Source, _ func()) { s.Close(); s.Close() }, fs.ErrClosed},
		"cancel": {func(_ camera.Source, cancel func()) { cancel() }, context.Canceled},
	}
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, "synthetic:?size=64x64&fps=0.1")
				read(t, s).Release()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				got := make(chan error)
				go func() {
					_, err := s.Read(ctx)
					got <- err
				}()
				synctest.Wait()
				begin := time.Now()
				tt.end(s, cancel)
				if err := <-got; !errors.Is(err, tt.want) || time.Since(begin) != 0 {
					t.Errorf("waiting Read = %v after %v, want %v at once", err, time.Since(begin), tt.want)
				}
				if _, err := s.Read(ctx); !errors.Is(err, tt.want) {
					t.Errorf("later Read = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestCycleChangesTheStyleEveryTenSeconds(t *testing.T) {
	s := open(t, "synthetic:?style=cycle&size=64x64&fps=0.2&pace=0")
	want := make([]byte, 64*64*3)
	for n := range 14 { // 5 s apart
		style := scene.Styles()[n/2%6]
		reference, err := scene.New(scene.Options{Width: 64, Height: 64, FPS: 0.2, Style: style, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		reference.Render(n, want, nil)
		f := read(t, s)
		if !bytes.Equal(f.Pix, want) {
			t.Errorf("frame at %v is not in style %v", f.PTS, style)
		}
		f.Release()
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	tests := map[string]struct{ options, hint string }{
		"scene":      {"scene=motorway", "street"},
		"style":      {"style=dawn", "snow, cycle"},
		"style case": {"style=Day", "day"},
		"size small": {"size=32x32", "64..4096"},
		"size huge":  {"size=8192x8192", "64..4096"},
		"fps small":  {"fps=1e-9", "0.001"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			uri, err := camera.ParseURI("synthetic:?" + tt.options)
			if err != nil {
				t.Fatal(err)
			}
			s, err := synthetic.Open(t.Context(), uri, camera.Want{})
			if s != nil || !errors.Is(err, camera.ErrPermanent) {
				t.Fatalf("Open(%s) = %v, %v, want an error that wraps camera.ErrPermanent", uri, s, err)
			}
			if !strings.Contains(err.Error(), tt.hint) {
				t.Errorf("Open(%s) = %q, want a hint at %q", uri, err, tt.hint)
			}
		})
	}
}

func TestOpenHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := synthetic.Open(ctx, camera.URI{Scheme: "synthetic"}, camera.Want{}); !errors.Is(err, context.Canceled) || errors.Is(err, camera.ErrPermanent) {
		t.Errorf("Open = %v, want context.Canceled and not camera.ErrPermanent", err)
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	for _, address := range []string{"synthetic:?size=128x96&pace=0", "synthetic:?size=128x96&fps=240&style=snow"} {
		s := open(t, address)
		ctx := t.Context()
		got := testing.AllocsPerRun(60, func() {
			f, err := s.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			f.Release()
		})
		if got != 0 {
			t.Errorf("%s: %g allocations per frame, want 0", address, got)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []string{"640x360", "1280x720"} {
		b.Run(size, func(b *testing.B) {
			s := open(b, "synthetic:?pace=0&size="+size)
			b.ReportAllocs()
			for b.Loop() {
				read(b, s).Release()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}
