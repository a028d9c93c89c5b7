package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a command of FFmpeg, which judges what this package decodes.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, &stderr)
	}
	return out
}

// makeClip encodes a test picture with the given output options.
func makeClip(t testing.TB, name, source string, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args := append([]string{"-v", "error", "-f", "lavfi", "-i", source}, options...)
	run(t, "ffmpeg", append(args, path)...)
	return path
}

func open(t testing.TB, address string) (camera.Source, error) {
	t.Helper()
	uri, err := camera.ParseURI(address)
	if err != nil {
		t.Fatal(err)
	}
	src, err := Open(t.Context(), uri, camera.Want{})
	if err == nil {
		t.Cleanup(func() {
			if err := src.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	return src, err
}

func mustOpen(t testing.TB, address string) camera.Source {
	t.Helper()
	src, err := open(t, address)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// sharedClips are real recordings that lie beside the checkout on some machines.
func sharedClips() []string {
	dir := os.Getenv("ROBUSTNET_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	clips, _ := filepath.Glob(filepath.Join(dir, "data/video/*.mp4")) // the pattern is well-formed
	return clips
}

func TestDecodesLikeFFmpeg(t *testing.T) {
	clips := map[string]string{
		"h264 with B-frames": makeClip(t, "a.mp4", "testsrc2=size=320x180:rate=25:duration=2", "-pix_fmt", "yuv420p", "-bf", "2"),
		"odd rate":           makeClip(t, "b.mp4", "testsrc2=size=160x90:rate=30000/1001:duration=1", "-pix_fmt", "yuv420p"),
		"variable rate":      makeClip(t, "c.mp4", "testsrc2=size=160x90:rate=30:duration=2", "-pix_fmt", "yuv420p", "-vf", "select='not(mod(n,3))+not(mod(n,5))'", "-vsync", "vfr"),
		"matroska":           makeClip(t, "d ä%.mkv", "testsrc2=size=160x90:rate=10:duration=2", "-pix_fmt", "yuv420p"),
		"mjpeg avi":          makeClip(t, "e.avi", "testsrc2=size=160x90:rate=10:duration=2", "-c:v", "mjpeg", "-q:v", "2"),
	}
	for _, c := range sharedClips() {
		clips[filepath.Base(c)] = c
	}
	for name, clip := range clips {
		t.Run(name, func(t *testing.T) {
			uri := camera.URI{Scheme: "file", Path: clip, Params: map[string][]string{"pace": {"0"}}}
			src := mustOpen(t, uri.String())
			info := src.Info()
			raw := run(t, "ffmpeg", "-v", "error", "-i", clip, "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr24", "-")
			size := info.Width * info.Height * 3
			times := strings.Fields(string(run(t, "ffprobe", "-v", "error", "-select_streams", "v:0",
				"-show_entries", "frame=best_effort_timestamp_time", "-of", "csv=p=0", clip)))
			if len(times)*size != len(raw) {
				t.Fatalf("ffprobe has %d frames, ffmpeg %d bytes of %d×%d", len(times), len(raw), info.Width, info.Height)
			}
			if info.Live {
				t.Error("Live = true with pace=0")
			}
			for i := range times {
				f, err := src.Read(t.Context())
				if err != nil {
					t.Fatalf("Read %d of %d: %v", i, len(times), err)
				}
				if d := meanDifference(f.Pix, raw[i*size:(i+1)*size]); d > 2 {
					t.Errorf("frame %d differs from ffmpeg's by %.2f levels, want at most 2", i, d)
				}
				want := seconds(t, times[i]) - seconds(t, times[0])
				tolerance := 0.0015
				if i >= len(times)-3 && name == "variable rate" {
					tolerance = 0.1 // OpenCV has no time for the frames that the end of the file flushes
				}
				if math.Abs(f.PTS.Seconds()-want) > tolerance {
					t.Errorf("frame %d has PTS %v, ffprobe says %.4f s", i, f.PTS, want)
				}
				f.Release()
			}
			if _, err := src.Read(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("Read after %d frames = %v, want io.EOF", len(times), err)
			}
		})
	}
}

func seconds(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.Trim(s, ","), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// meanDifference looks at every seventh byte, which meets all colours evenly.
func meanDifference(a, b []byte) float64 {
	var sum, n int
	for i := 0; i < len(a); i += 7 {
		d := int(a[i]) - int(b[i])
		sum += max(d, -d)
		n++
	}
	return float64(sum) / float64(n)
}

func TestColourOrder(t *testing.T) {
	src := mustOpen(t, "file:"+makeClip(t, "red.mp4", "color=red:size=64x64:rate=5:duration=1", "-pix_fmt", "yuv420p")+"?pace=0")
	f, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, g, r := f.Pix[0], f.Pix[1], f.Pix[2]; b > 10 || g > 10 || r < 245 {
		t.Errorf("red is b=%d g=%d r=%d", b, g, r)
	}
}

// Rotation is metadata of the picture; what comes out is upright.
func TestRotated(t *testing.T) {
	flat := makeClip(t, "flat.mp4", "testsrc2=size=160x96:rate=5:duration=1", "-pix_fmt", "yuv420p")
	for angle, size := range map[string][2]int{"0": {160, 96}, "90": {96, 160}, "180": {160, 96}, "270": {96, 160}} {
		t.Run(angle, func(t *testing.T) {
			turned := filepath.Join(t.TempDir(), "turned.mp4")
			run(t, "ffmpeg", "-v", "error", "-i", flat, "-c", "copy", "-metadata:s:v:0", "rotate="+angle, turned)
			src := mustOpen(t, "file:"+turned+"?pace=0")
			raw := run(t, "ffmpeg", "-v", "error", "-i", turned, "-f", "rawvideo", "-pix_fmt", "bgr24", "-")
			if i := src.Info(); i.Width != size[0] || i.Height != size[1] {
				t.Fatalf("size = %d×%d, want %d×%d", i.Width, i.Height, size[0], size[1])
			}
			for i := range 5 {
				f, err := src.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if d := meanDifference(f.Pix, raw[i*len(f.Pix):(i+1)*len(f.Pix)]); d > 2 {
					t.Errorf("frame %d differs from ffmpeg's by %.2f levels, want at most 2", i, d)
				}
			}
		})
	}
}

func TestLoopRepeatsFrames(t *testing.T) {
	src := mustOpen(t, "file:"+makeClip(t, "l.mp4", "testsrc2=size=64x64:rate=10:duration=0.5", "-pix_fmt", "yuv420p")+"?pace=0&loop=1")
	const n, passes = 5, 3
	var firstPass [][]byte
	for i := range n * passes {
		f, err := src.Read(t.Context())
		if err != nil {
			t.Fatalf("Read %d: %v", i, err)
		}
		if want := time.Duration(i) * 100 * time.Millisecond; f.PTS != want {
			t.Errorf("frame %d has PTS %v, want %v", i, f.PTS, want)
		}
		if i < n {
			firstPass = append(firstPass, bytes.Clone(f.Pix))
		} else if !bytes.Equal(f.Pix, firstPass[i%n]) {
			t.Errorf("frame %d differs from frame %d", i, i%n)
		}
		f.Release()
	}
}

func TestTruncated(t *testing.T) {
	for name, options := range map[string][]string{
		"mp4": {"-movflags", "+faststart", "-g", "5", "-bf", "2", "-pix_fmt", "yuv420p"},
		"avi": {"-c:v", "mjpeg"},
		"mkv": {"-g", "5", "-pix_fmt", "yuv420p"},
	} {
		whole, err := os.ReadFile(makeClip(t, "whole."+name, "testsrc2=size=160x96:rate=10:duration=6", options...))
		if err != nil {
			t.Fatal(err)
		}
		for _, percent := range []int{30, 50, 75} {
			for _, loop := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s cut at %d percent, loop=%d", name, percent, loop), func(t *testing.T) {
					cut := filepath.Join(t.TempDir(), "cut."+name)
					if err := os.WriteFile(cut, whole[:len(whole)*percent/100], 0o600); err != nil {
						t.Fatal(err)
					}
					src := mustOpen(t, fmt.Sprintf("file:%s?pace=0&loop=%d", cut, loop))
					n := 0
					for ; n < 100; n++ {
						var f *camera.Frame
						if f, err = src.Read(t.Context()); err != nil {
							break
						}
						f.Release()
					}
					if !errors.Is(err, camera.ErrTruncated) || !strings.Contains(err.Error(), fmt.Sprintf("%d of the 60", n)) {
						t.Errorf("after %d frames: %v; want ErrTruncated that names %d of 60 frames", n, err, n)
					}
					if n == 0 || n >= 60 {
						t.Errorf("%d frames came before the end, want some and fewer than 60", n)
					}
				})
			}
		}
	}
}

// Frames that an edit list hides are counted in the header and not delivered; such a file
// is whole.
func TestEditListIsNotTruncation(t *testing.T) {
	whole := makeClip(t, "whole.mp4", "testsrc2=size=64x64:rate=10:duration=6", "-pix_fmt", "yuv420p", "-g", "30")
	trimmed := filepath.Join(t.TempDir(), "trimmed.mp4")
	run(t, "ffmpeg", "-v", "error", "-ss", "2", "-i", whole, "-c", "copy", trimmed)
	src := mustOpen(t, "file:"+trimmed+"?pace=0")
	for range 100 {
		if _, err := src.Read(t.Context()); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("Read: %v, want io.EOF at the end", err)
		}
	}
	t.Error("file does not end")
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	clip, err := os.ReadFile(makeClip(t, "c.mp4", "testsrc2=size=64x64:rate=10:duration=1", "-pix_fmt", "yuv420p"))
	if err != nil {
		t.Fatal(err)
	}
	wide := makeClip(t, "wide.avi", "color=red:size=8208x16:rate=5:duration=1", "-c:v", "mjpeg")
	sound := makeClip(t, "sound.mp4", "sine=duration=1")
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ path, want string }{
		"missing":         {filepath.Join(dir, "none.mp4"), "no such file"},
		"folder":          {dir, "dir:" + dir},
		"fifo":            {fifo, "no regular file"},
		"empty":           {write("zero.mp4", nil), "empty"},
		"text":            {write("text.mp4", []byte("no video at all")), "not a video"},
		"noise":           {write("noise.mp4", bytes.Repeat([]byte{0x9c, 0x11, 0x47, 0xe0}, 9999)), "not a video"},
		"too wide":        {wide, "8208×16 pixels"},
		"index cut off":   {write("half.mp4", clip[:len(clip)/2]), "its end is missing"},
		"only sound":      {sound, "not a video"},
		"pattern of name": {filepath.Join(dir, "img_%02d.png"), "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			uri := camera.URI{Scheme: "file", Path: tc.path}
			src, err := Open(t.Context(), uri, camera.Want{})
			if err == nil {
				t.Fatalf("Open succeeded: %+v, %v", src.Info(), src.Close())
			}
			if !errors.Is(err, camera.ErrPermanent) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), uri.Redacted()) {
				t.Errorf("Open = %q; want a permanent error with %q and the address", err, tc.want)
			}
		})
	}
}

// A paced file is Live, and both its context and Close end a Read that waits.
func TestPacedReadEnds(t *testing.T) {
	clip := makeClip(t, "slow.mp4", "testsrc2=size=64x64:rate=1/60:duration=180", "-pix_fmt", "yuv420p")
	for name, byClose := range map[string]bool{"by context": false, "by Close": true} {
		t.Run(name, func(t *testing.T) {
			src := mustOpen(t, "file:"+clip)
			if !src.Info().Live {
				t.Error("Live = false for a paced file")
			}
			if _, err := src.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { _, err := src.Read(ctx); done <- err }() // due in a minute
			if byClose {
				if err := src.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				cancel()
			}
			if err := <-done; err == nil || errors.Is(err, io.EOF) {
				t.Errorf("Read = %v, want an error", err)
			}
		})
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	src := mustOpen(t, "file:"+makeClip(t, "a.mp4", "testsrc2=size=160x96:rate=50:duration=4", "-pix_fmt", "yuv420p")+"?pace=0")
	if n := testing.AllocsPerRun(100, func() {
		f, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}); n != 0 {
		t.Errorf("Read allocates %v times per frame, want 0", n)
	}
}

func BenchmarkRead720p(b *testing.B) {
	src := mustOpen(b, "file:"+makeClip(b, "a.mp4", "testsrc2=size=1280x720:rate=30:duration=4", "-pix_fmt", "yuv420p")+"?pace=0&loop=1")
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
