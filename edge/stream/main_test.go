package stream

import (
	"bytes"
	"context"
	"image"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/edge/encoder"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch/gsttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the deadline for anything that should happen at once; only a failure
// takes this long.
const patience = 30 * time.Second

// quadrants are the colours (Y, Cb, Cr) of the test picture, left to right, top to
// bottom.
var quadrants = [4][3]byte{{60, 90, 200}, {120, 128, 128}, {180, 60, 110}, {90, 200, 90}}

// pattern makes pictures of four coloured quarters over whose borders a square moves.
type pattern struct {
	img *image.YCbCr
	n   int
}

func newPattern(width, height int) *pattern {
	return &pattern{img: image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)}
}

func (p *pattern) next() *image.YCbCr {
	w, h := p.img.Rect.Dx(), p.img.Rect.Dy()
	at := (p.n * 4) % (w - 16)
	for y := range h {
		for x := range w {
			luma := quadrants[x*2/w+y*2/h*2][0]
			if x >= at && x < at+16 && y >= h/2-8 && y < h/2+8 {
				luma = 235
			}
			p.img.Y[y*w+x] = luma
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			c := quadrants[x*4/w+y*4/h*2]
			p.img.Cb[y*w/2+x], p.img.Cr[y*w/2+x] = c[1], c[2]
		}
	}
	p.n++
	return p.img
}

// checkPattern compares the centres of the quarters in a raw I420 picture with what
// pattern drew.
func checkPattern(t *testing.T, raw []byte, width, height int) {
	t.Helper()
	const tolerance = 4
	for q, want := range quadrants {
		x, y := width/4+width/2*(q%2), height/4+height/2*(q/2)
		chroma := width*height + y/2*width/2 + x/2
		got := [3]byte{raw[y*width+x], raw[chroma], raw[chroma+width*height/4]}
		for i := range want {
			if d := int(got[i]) - int(want[i]); d < -tolerance || d > tolerance {
				t.Errorf("quarter %d: decoded Y, Cb, Cr = %v, want %v within %d", q, got, want, tolerance)
				break
			}
		}
	}
}

func mustEncoder(t testing.TB, f EncoderFactory, o EncoderOptions) *Encoder {
	t.Helper()
	e, err := f.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// softwareElement finds GStreamer's element, or skips.
func softwareElement(t testing.TB) EncoderFactory {
	t.Helper()
	gsttest.Need(t, "videotestsrc", "rawvideoparse", "x264enc", "h264parse", "gdppay")
	f, err := FindEncoder(t.Context(), encoder.GStreamer, "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// eachEncoder runs a test with the library and with GStreamer's element.
func eachEncoder(t *testing.T, test func(t *testing.T, f EncoderFactory)) {
	t.Run(EncoderName(), func(t *testing.T) { test(t, BuiltIn()) })
	t.Run("gst", func(t *testing.T) { test(t, softwareElement(t)) })
}

func smallOptions() EncoderOptions {
	return EncoderOptions{Width: 320, Height: 240, FPS: 30, BitrateKbps: 1000, KeyInterval: 10 * time.Second}
}

// tool runs ffmpeg or ffprobe and returns its standard output; the test fails if the
// program does, or says anything on standard error.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed: apt-get install ffmpeg", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, append([]string{"-v", "error"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return stdout.Bytes()
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still not the case after %v: %s", patience, what)
		}
	}
}

// served is a server with one stream.
type served struct {
	*Server
	*Stream
}

// serve listens and runs a server with a stream until the test ends or stop is called. It
// adds what a test rarely cares about to the options.
func serve(t *testing.T, o ServerOptions) (s *served, stop func()) {
	t.Helper()
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	o.Log = zerolog.New(zerolog.NewTestWriter(t))
	s = &served{Server: NewServer(o)}
	s.Stream = mustOpen(t, s.Server, "")
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("Run has not returned %v after its context ended", patience)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func mustOpen(t *testing.T, s *Server, path string) *Stream {
	t.Helper()
	st, err := s.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// feed encodes the pattern at the options' rate into s, as the daemon does, until the
// test ends or stop is called.
func feed(t *testing.T, s *served, o EncoderOptions) (stop func()) {
	t.Helper()
	return feedFrom(t, s, BuiltIn(), o)
}

func feedFrom(t *testing.T, s *served, f EncoderFactory, o EncoderOptions) (stop func()) {
	t.Helper()
	e, err := f.New(o)
	if err != nil {
		t.Fatal(err)
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer e.Close()
		tick := time.NewTicker(time.Duration(float64(time.Second) / o.FPS))
		defer tick.Stop()
		for p := newPattern(o.Width, o.Height); ; {
			captured := time.Now()
			au, err := e.Encode(p.next(), s.TakeKeyRequest())
			if err != nil {
				t.Errorf("Encode: %v", err)
				return
			}
			if sps, pps := au.ParameterSets(); sps != nil {
				if err := s.SetFormat(sps, pps, o.Width, o.Height); err != nil {
					t.Errorf("SetFormat: %v", err)
				}
			}
			if err := s.Write(au, captured); err != nil {
				t.Errorf("Write: %v", err)
			}
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			close(quit)
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}

// freeRTPPort finds an even UDP port whose successor is free too.
func freeRTPPort(t *testing.T) int {
	t.Helper()
	for range 100 {
		first, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port &^ 1
		first.Close()
		free := true
		for i := range 2 {
			conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + i})
			if err != nil {
				free = false
				continue
			}
			conn.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no pair of free UDP ports")
	return 0
}
