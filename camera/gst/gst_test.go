package gst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch/gsttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the deadline for anything that should happen soon.
const patience = 30 * time.Second

// need skips where an element is missing.
func need(t testing.TB, elements ...string) {
	t.Helper()
	gsttest.Need(t, append(elements, "videotestsrc", "videoconvert", "gdppay")...)
}

func parse(t testing.TB, address string) camera.URI {
	t.Helper()
	uri, err := camera.ParseURI(address)
	if err != nil {
		t.Fatal(err)
	}
	return uri
}

// open opens a pipeline until the end of the test, when its process must be gone.
func open(t testing.TB, pipeline string) camera.Source {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	src, err := Open(ctx, parse(t, "gst:"+pipeline), camera.Want{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(src.Close(), src.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
		checkEnded(t)
	})
	return src
}

// checkEnded finds processes that this one has left behind.
func checkEnded(t testing.TB) {
	t.Helper()
	if pids := gsttest.Children(t, os.Getpid()); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
}

func read(t testing.TB, src camera.Source) (*camera.Frame, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return src.Read(ctx)
}

func TestSizeAndColours(t *testing.T) {
	need(t)
	for _, width := range []int{320, 322, 321, 318} { // all the ways to pad a row
		for pattern, want := range map[string][3]byte{"red": {0, 0, 255}, "green": {0, 255, 0}, "blue": {255, 0, 0}, "white": {255, 255, 255}} {
			t.Run(fmt.Sprintf("%s of %d pixels", pattern, width), func(t *testing.T) {
				const height = 18
				src := open(t, fmt.Sprintf("videotestsrc num-buffers=3 pattern=%s ! video/x-raw,format=RGB,width=%d,height=%d,framerate=25/1", pattern, width, height))
				if i := src.Info(); i.Width != width || i.Height != height || i.FPS != 25 || !i.Live {
					t.Errorf("Info = %+v, want %d×%d at 25 per second, live", i, width, height)
				}
				f, err := read(t, src)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Release()
				if f.Width != width || f.Height != height || len(f.Pix) != width*height*3 {
					t.Fatalf("frame has %d×%d pixels in %d bytes, want %d×%d", f.Width, f.Height, len(f.Pix), width, height)
				}
				for i := range f.Pix {
					if f.Pix[i] != want[i%3] {
						t.Fatalf("byte %d is %d, want %v in every pixel", i, f.Pix[i], want)
					}
				}
			})
		}
	}
}

// A pipeline that ends by itself is a source that ends, and its last picture is delivered.
func TestEnd(t *testing.T) {
	need(t)
	// So slow that no picture is late, however busy the machine is.
	src := open(t, "videotestsrc is-live=true num-buffers=6 ! video/x-raw,framerate=5/1")
	var last time.Duration
	var count, skipped uint64
	for {
		f, err := read(t, src)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == 1 && f.PTS != 0 {
			t.Errorf("first frame has PTS %v, want 0", f.PTS)
		}
		skipped += f.Skipped
		if age := time.Since(f.Captured); age < 0 || age > patience {
			t.Errorf("frame was captured %v ago", age)
		}
		last = f.PTS
		f.Release()
	}
	if count == 0 || count+skipped != 6 || last != time.Second {
		t.Errorf("%d frames, %d skipped, the last at %v; want 6 together, the last at 1s", count, skipped, last)
	}
	if _, err := read(t, src); err != io.EOF {
		t.Errorf("Read after the end: %v, want io.EOF", err)
	}
}

// Pictures for which the reader comes too late are told, and the newest is kept.
func TestNewestIsKept(t *testing.T) {
	need(t)
	src := open(t, "videotestsrc ! video/x-raw,width=64,height=48,framerate=30/1") // as fast as it can
	inner := src.(*source)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); inner.Skipped.Load() < 50; <-tick.C {
		if time.Since(begun) > patience {
			t.Fatal("no pictures are skipped")
		}
	}
	f, err := read(t, src)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	number := int64(f.PTS / (time.Second / 30))
	if f.Skipped < 50 || number < 50 {
		t.Errorf("picture %d, %d skipped before it; want 50 or more", number, f.Skipped)
	}
}

// stalled delivers a few pictures and then nothing more, like a camera whose service hangs.
const stalled = "videotestsrc is-live=true num-buffers=5 ! concat name=both videotestsrc is-live=true ! valve drop=true ! both. both."

// keep runs a keeper on a pipeline until it has opened it so often, or ends by itself.
func keep(t *testing.T, pipeline string, noFrame time.Duration, opens int) (reasons []camera.Reason, frames int, err error) {
	t.Helper()
	uri := parse(t, "gst:"+pipeline)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	slot := camera.NewSlot[*camera.Frame]()
	var opened atomic.Int32
	k := camera.Keeper{
		Open: func(ctx context.Context) (camera.Source, error) {
			if int(opened.Add(1)) > opens {
				cancel()
			}
			return Open(ctx, uri, camera.Want{})
		},
		Slot: slot, NoFrame: noFrame, RetryFirst: time.Millisecond, RetryMax: time.Millisecond,
		Observer: camera.Observer{
			Frame:     func() { frames++ },
			Reopening: func(r camera.Reason, _ time.Duration) { reasons = append(reasons, r) },
		},
	}
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for {
			f, err := slot.Take(context.Background())
			if err != nil {
				return
			}
			f.Release()
		}
	}()
	err = k.Run(ctx)
	<-taken
	checkEnded(t)
	return reasons, frames, err
}

func TestKeptAlive(t *testing.T) {
	need(t, "identity", "valve", "concat")
	const (
		soon = 700 * time.Millisecond
		late = 3 * time.Second // enough for a first picture on a busy machine
	)
	for name, test := range map[string]struct {
		pipeline string
		reason   camera.Reason // of every fault; empty for none
		frames   bool
		noFrame  time.Duration
	}{
		"end":                    {"videotestsrc num-buffers=5", "", true, patience},
		"fault":                  {"videotestsrc is-live=true ! identity error-after=4", camera.ReasonError, true, patience},
		"no picture ever":        {"videotestsrc is-live=true ! valve drop=true", camera.ReasonStalled, false, soon},
		"no picture, not live":   {"videotestsrc ! valve drop=true", camera.ReasonStalled, false, soon},
		"no picture any more":    {stalled, camera.ReasonStalled, true, late},
		"an element that sleeps": {"videotestsrc is-live=true ! identity sleep-time=60000000", camera.ReasonStalled, false, soon},
		"what is not there":      {"videotestsrc ! tee name=both ! filesink location=/none/x both.", camera.ReasonGone, false, patience},
	} {
		t.Run(name, func(t *testing.T) {
			reasons, frames, err := keep(t, test.pipeline, test.noFrame, 2)
			if err != nil {
				t.Errorf("Run: %v", err)
			}
			if test.frames != (frames > 0) {
				t.Errorf("%d frames, want some: %t", frames, test.frames)
			}
			if test.reason == "" && len(reasons) > 0 || test.reason != "" && len(reasons) < 2 {
				t.Errorf("opened again for %q, want for %q only", reasons, test.reason)
			}
			for _, r := range reasons {
				if r != test.reason {
					t.Errorf("opened again for %q, want %q only", reasons, test.reason)
				}
			}
		})
	}
}

// A process that crashes is a fault, however short its life.
func TestCrash(t *testing.T) {
	need(t)
	src := open(t, "videotestsrc is-live=true")
	for _, pid := range gsttest.Children(t, os.Getpid()) {
		if err := syscall.Kill(pid, syscall.SIGSEGV); err != nil {
			t.Fatal(err)
		}
	}
	for {
		f, err := read(t, src)
		if err == nil { // was on its way
			f.Release()
			continue
		}
		if errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "signal: segmentation fault") {
			t.Errorf("Read: %v, want the signal, which is a fault", err)
		}
		return
	}
}

func TestOpenErrors(t *testing.T) {
	need(t, "audiotestsrc")
	for name, test := range map[string]struct {
		address, want string
		permanent     bool
	}{
		"no such element":   {"gst:nosuchsrc ! queue", `no element "nosuchsrc"`, true},
		"no such property":  {"gst:videotestsrc colour=red", `no property "colour"`, true},
		"syntax":            {"gst:videotestsrc !", "syntax error", true},
		"sink at its end":   {"gst:videotestsrc ! fakesink", "could not link fakesink0 to queue0; the pipeline must end in raw pictures, without a sink", true},
		"no pictures":       {"gst:audiotestsrc", "must end in raw pictures", true},
		"appsink elsewhere": {"gst:videotestsrc ! appsink ! queue", "appsink stands before the end", true},
		"ends at once":      {"gst:videotestsrc num-buffers=0", "ended without a picture", true},
		"too wide":          {"gst:videotestsrc ! video/x-raw,width=8200,height=16", "8200×16 pixels", true},
		"password":          {"gst:filesrc location=rtsp://u:s3cret@h/x", `No such file "rtsp://u:xxxxx@h/x"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := Open(t.Context(), parse(t, test.address), camera.Want{})
			if err == nil {
				t.Fatalf("Open succeeded: %+v, %v", src.Info(), src.Close())
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Open: %v; want one sentence with %q", err, test.want)
			}
			if errors.Is(err, camera.ErrPermanent) != test.permanent {
				t.Errorf("Open: %v; want that it is permanent: %t", err, test.permanent)
			}
			checkEnded(t)
		})
	}
}

// Without NVIDIA's elements, a CSI camera must say so at once.
func TestCSIElsewhere(t *testing.T) {
	need(t)
	if ok, _ := gstlaunch.Has(t.Context(), "nvarguscamerasrc"); ok {
		t.Skip("this machine has nvarguscamerasrc")
	}
	_, err := Open(t.Context(), parse(t, "csi://0"), camera.Want{})
	if !errors.Is(err, camera.ErrPermanent) || !strings.Contains(err.Error(), `open camera csi://0: GStreamer cannot make the pipeline: no element "nvarguscamerasrc"; it comes with NVIDIA's system`) {
		t.Errorf("Open: %v; want a permanent error that names nvarguscamerasrc", err)
	}
}

func TestMissing(t *testing.T) {
	need(t)
	if got := Missing(t.Context(), parse(t, "gst:nosuchsrc")); got != "" {
		t.Errorf("Missing of gst: is %q, want nothing", got)
	}
	if ok, _ := gstlaunch.Has(t.Context(), "nvarguscamerasrc"); !ok {
		if got := Missing(t.Context(), parse(t, "csi://0")); !strings.Contains(got, "no element nvarguscamerasrc; it comes with NVIDIA's system") {
			t.Errorf("Missing of csi: is %q, want nvarguscamerasrc", got)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if got := Missing(t.Context(), parse(t, "gst:videotestsrc")); !strings.Contains(got, "install the package gstreamer1.0-tools") {
		t.Errorf("Missing without GStreamer is %q", got)
	}
}

// A CSI camera has no regular end, and what hangs has a likely reason. Scripts stand for the
// pipeline, which only a Jetson runs.
func TestCSIFaults(t *testing.T) {
	gsttest.Script(t, "gst-launch-1.0", "exit 0")
	_, err := Open(t.Context(), parse(t, "csi://0"), camera.Want{})
	if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, camera.ErrPermanent) {
		t.Errorf("Open of a CSI camera that ends: %v, want io.ErrUnexpectedEOF", err)
	}
	gsttest.Script(t, "gst-launch-1.0", "exec sleep 600")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = Open(ctx, parse(t, "csi://0"), camera.Want{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "restart nvargus-daemon") {
		t.Errorf("Open of a silent CSI camera: %v, want the deadline and advice", err)
	}
	checkEnded(t)
}

// What breaks the protocol is told, and not that the process was ended for it.
func TestProtocolFaults(t *testing.T) {
	const header = `head -c %d /dev/zero | tr '\0' '\%03o' >&3; `
	for name, test := range map[string]struct{ body, want string }{
		"version": {fmt.Sprintf(header, 62, 7) + "exec sleep 600", "version 7.7 of the GStreamer Data Protocol, want 1.0"},
		"cut off": {fmt.Sprintf(header, 61, 1) + "exit 0", "the pipeline ended within a picture: unexpected EOF"},
		"ended":   {fmt.Sprintf(header, 61, 1) + "echo why >&2; exit 3", "gst-launch-1.0 ended: exit status 3 (why)"},
	} {
		t.Run(name, func(t *testing.T) {
			gsttest.Script(t, "gst-launch-1.0", test.body)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := Open(ctx, parse(t, "gst:videotestsrc"), camera.Want{})
			if err == nil || !strings.HasSuffix(err.Error(), test.want) || errors.Is(err, camera.ErrPermanent) {
				t.Errorf("Open: %v; want an error that ends in %q", err, test.want)
			}
			checkEnded(t)
		})
	}
}

func TestNoGStreamer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Open(t.Context(), parse(t, "gst:videotestsrc"), camera.Want{})
	if !errors.Is(err, camera.ErrPermanent) || !strings.Contains(err.Error(), "install the package gstreamer1.0-tools") {
		t.Errorf("Open: %v; want a permanent error with the package", err)
	}
}

// A process that ignores signals must not hold Close.
func TestCloseKills(t *testing.T) {
	gsttest.Script(t, "gst-launch-1.0", "trap '' INT; exec sleep 600")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := Open(ctx, parse(t, "gst:videotestsrc"), camera.Want{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open: %v, want the deadline", err)
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("Open took %v with a deadline of 100ms", took)
	}
	checkEnded(t)
}

func TestReadEnds(t *testing.T) {
	need(t, "valve", "concat")
	for name, byClose := range map[string]bool{"by context": false, "by Close": true} {
		t.Run(name, func(t *testing.T) {
			src := open(t, stalled)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				for {
					f, err := src.Read(ctx)
					if err != nil {
						done <- err
						return
					}
					f.Release()
				}
			}()
			want := context.Canceled
			if byClose {
				want = fs.ErrClosed
				if err := src.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				cancel()
			}
			if err := <-done; !errors.Is(err, want) {
				t.Errorf("Read: %v, want %v", err, want)
			}
		})
	}
}

func TestSizeChange(t *testing.T) {
	need(t, "concat")
	src := open(t, "videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48 ! concat name=both videotestsrc ! video/x-raw,width=32,height=24 ! both. both.")
	for {
		f, err := read(t, src)
		if err == nil {
			if f.Width != 64 || f.Height != 48 {
				t.Fatalf("frame has %d×%d pixels, want 64×48", f.Width, f.Height)
			}
			f.Release()
			continue
		}
		if !strings.Contains(err.Error(), "changes its size from 64×48 to 32×24") {
			t.Errorf("Read: %v, want the change of size", err)
		}
		return
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	need(t)
	for _, width := range []int{160, 162} { // without and with padding
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			src := open(t, fmt.Sprintf("videotestsrc pattern=red ! video/x-raw,width=%d,height=96", width))
			if n := testing.AllocsPerRun(200, func() {
				f, err := src.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				f.Release()
			}); n != 0 {
				t.Errorf("Read allocates %v times per frame, want 0", n)
			}
		})
	}
}

func BenchmarkRead720p(b *testing.B) {
	need(b)
	src := open(b, "videotestsrc pattern=red ! video/x-raw,format=BGR,width=1280,height=720")
	b.ReportAllocs()
	for b.Loop() {
		f, err := src.Read(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}
