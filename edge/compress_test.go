package edge

import (
	"context"
	"errors"
	"image"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robustnet-edge/robustnet/edge/encoder"
	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch/gsttest"
)

// jetson puts programs in the place of GStreamer's: NVIDIA's encoder is there and passes its
// trial, and what it does when it is fed is the body of a shell script.
func jetson(t *testing.T, fed string) {
	t.Helper()
	gsttest.Script(t, "gst-inspect-1.0", "exit 0")
	gsttest.Script(t, "gst-launch-1.0", `case "$*" in *videotestsrc*) exit 0;; esac; `+fed)
}

const noHardware = `echo "ERROR: from element /GstPipeline:pipeline0/nvv4l2h264enc:enc: Failed to process frame." >&2; exit 1`

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// An encoder of the program's own choice that does not work after all costs nothing.
func TestLibraryTakesOver(t *testing.T) {
	jetson(t, noHardware)
	s := newSetup()
	s.config.Output.Video = filepath.Join(t.TempDir(), "out.mp4")
	d := s.daemon(t)
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.one().written.video.Load(); got != 20 {
		t.Errorf("%d pictures in the video, want 20", got)
	}
	if got := d.status().Cameras[0].Stream.Encoder; got != stream.EncoderName() {
		t.Errorf("encoder in the status is %q, want %q", got, stream.EncoderName())
	}
	for _, want := range []string{`"encoder":"gst nvv4l2h264enc","message":"encoder chosen"`, "another encoder takes over", "Failed to process frame"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, s.log.String())
		}
	}
}

// One that never makes a picture is not healthy, however long it takes to fail: it would be
// begun anew for ever.
func TestLibraryTakesOverFromOneThatHangs(t *testing.T) {
	jetson(t, noHardware)
	var log logBuffer
	c, err := newCompressor(t.Context(), encoder.Auto, "", zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.open(stream.EncoderOptions{Width: 64, Height: 48, FPS: 30, BitrateKbps: 500, KeyInterval: time.Minute}); err != nil {
		t.Fatal(err)
	}
	c.began = c.began.Add(-healthyEncoder) // as when its first picture took as long
	if au, err := c.encode(image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420), false); err != nil || !au.Key {
		t.Errorf("encode: key %t, %v; want a key frame of the library", au.Key, err)
	}
	if strings.Contains(log.String(), "encoder begins anew") || !strings.Contains(log.String(), "another encoder takes over") {
		t.Errorf("the log is %s; want that the library takes over at once", log.String())
	}
}

// One that the user insists on ends the daemon, with the reason and what to do.
func TestChosenEncoderFails(t *testing.T) {
	jetson(t, noHardware)
	s := newSetup()
	s.config.Stream.Encoder = encoder.GStreamer
	s.config.Output.Video = filepath.Join(t.TempDir(), "out.mp4")
	err := s.daemon(t).Run(t.Context())
	if !errors.Is(err, stream.ErrEncoderLost) || !strings.Contains(err.Error(), "enc: Failed to process frame") || !strings.Contains(err.Error(), "--encoder") {
		t.Errorf("Run: %v, want the element's reason and what to do", err)
	}
}

func TestEncoderNotHere(t *testing.T) {
	s := newSetup()
	s.config.Stream.Encoder = encoder.OpenH264
	if stream.EncoderName() == "openh264" {
		s.config.Stream.Encoder = encoder.X264
	}
	if err := s.daemon(t).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "built with "+stream.EncoderName()) {
		t.Errorf("Run: %v, want which encoder there is", err)
	}
	s.config.Stream.RTSP = "" // nothing is encoded, so nothing is missing
	if err := s.daemon(t).Run(t.Context()); err != nil {
		t.Errorf("Run without a stream: %v", err)
	}
}

// An encoder that hangs must not hold up a stop, which running limits to two seconds.
func TestStopWhileTheEncoderHangs(t *testing.T) {
	jetson(t, "trap '' INT; exec sleep 600")
	s := newSetup()
	s.source.live, s.source.frames = true, 0
	stop := running(t, s.daemon(t))
	eventually(t, "a frame goes through the network", func() bool { return s.engine.runs.Load() > 1 })
	if err := stop(); err != nil {
		t.Errorf("stopped with %v, want no error", err)
	}
}

// A stop while the encoder is looked for is a stop.
func TestStopWhileLookingForTheEncoder(t *testing.T) {
	jetson(t, "")
	gsttest.Script(t, "gst-inspect-1.0", "exec sleep 600")
	stop := running(t, newSetup().daemon(t))
	if err := stop(); err != nil {
		t.Errorf("stopped with %v, want no error", err)
	}
}

// Everything through GStreamer's software element, and a crash in the middle.
func TestEncodesWithGStreamer(t *testing.T) {
	gsttest.Need(t, "videotestsrc", "rawvideoparse", "x264enc", "h264parse", "gdppay")
	var log logBuffer
	c, err := newCompressor(t.Context(), encoder.GStreamer, "", zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.tell()
	if err := c.open(stream.EncoderOptions{Width: 64, Height: 48, FPS: 30, BitrateKbps: 500, KeyInterval: time.Minute}); err != nil {
		t.Fatal(err)
	}
	img := image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	encode := func() (stream.AccessUnit, error) { return c.encode(img, false) }
	for i := range 3 {
		if au, err := encode(); err != nil || au.Key != (i == 0) {
			t.Fatalf("picture %d: key %t, %v", i, au.Key, err)
		}
	}
	crash(t)
	c.began = c.began.Add(-healthyEncoder)
	au, err := encode()
	for ; err == nil && !au.Key; au, err = encode() { // the signal is on its way
	}
	if err != nil {
		t.Fatalf("after a crash: %v, want a new process", err)
	}
	if !strings.Contains(log.String(), "encoder begins anew") || !strings.Contains(log.String(), "segmentation fault") {
		t.Errorf("the log lacks the crash: %s", log.String())
	}
	crash(t) // so soon again
	for err == nil {
		_, err = encode()
	}
	if !errors.Is(err, stream.ErrEncoderLost) {
		t.Errorf("after another crash: %v, want ErrEncoderLost", err)
	}
}

// crash makes the processes that this one has started crash.
func crash(t *testing.T) {
	t.Helper()
	for _, pid := range gsttest.Children(t, os.Getpid()) {
		if err := syscall.Kill(pid, syscall.SIGSEGV); err != nil {
			t.Fatal(err)
		}
	}
}

// A context that has ended finds no encoder.
func TestNewCompressorHeedsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newCompressor(ctx, encoder.Auto, "", zerolog.Nop()); !errors.Is(err, context.Canceled) {
		t.Errorf("newCompressor: %v, want context.Canceled", err)
	}
}
