package rtsp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what must not hang; it says nothing about speed.
const patience = 30 * time.Second

func open(t *testing.T, address string) (camera.Source, error) {
	t.Helper()
	uri, err := camera.ParseURI(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel() // the context of opening does not end the source
	src, err := Open(ctx, uri, camera.Want{})
	if err == nil {
		t.Cleanup(func() { closeClean(t, src) })
	}
	return src, err
}

// closeClean closes a source and checks that no process is left, not even a dead one.
func closeClean(t *testing.T, src camera.Source) {
	t.Helper()
	if err := errors.Join(src.Close(), src.Close()); err != nil {
		t.Errorf("Close twice: %v", err)
	}
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("after Close there are child processes (%d, %v)", pid, err)
	}
}

func read(t *testing.T, src camera.Source) (*camera.Frame, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return src.Read(ctx)
}

// bars is a picture of constant colour bars: the leftmost is gray, then yellow, cyan, green,
// magenta, red, blue.
const bars = "smptebars=size=350x200:rate=25:duration=2"

// checkBars compares the upper part of the bars with their colours, in the order BGR.
func checkBars(t *testing.T, f *camera.Frame) {
	t.Helper()
	if f.Width != 350 || f.Height != 200 {
		t.Fatalf("frame has %d×%d pixels, want 350×200", f.Width, f.Height)
	}
	for i, want := range [][3]int{
		{180, 180, 180}, {16, 180, 180}, {180, 180, 16}, {16, 180, 16}, {180, 16, 180}, {16, 16, 180}, {180, 16, 16},
	} {
		at := (50*350 + 25 + 50*i) * 3
		for c := range 3 {
			if got := int(f.Pix[at+c]); got < want[c]-24 || got > want[c]+24 {
				t.Errorf("bar %d has colour %v, want about %v", i, f.Pix[at:at+3], want)
				break
			}
		}
	}
}

func TestReads(t *testing.T) {
	if testing.Short() {
		t.Skip("starts decoders")
	}
	for name, tc := range map[string]struct {
		codec     codec
		transport string
		options   []string
	}{
		"H264 over TCP":      {codecH264(), "tcp", []string{"-g", "10", "-tune", "zerolatency"}},
		"H264 over UDP":      {codecH264(), "udp", []string{"-g", "10", "-tune", "zerolatency"}},
		"H264 with B-frames": {codecH264(), "tcp", []string{"-g", "10", "-bf", "2", "-preset", "medium"}},
		"H265":               {codecH265(), "auto", []string{"-g", "10", "-tune", "zerolatency"}},
	} {
		t.Run(name, func(t *testing.T) {
			cam := serveCoded(t, tc.codec, encode(t, tc.codec, bars, tc.options...))
			src, err := open(t, cam.address("", "/live?user=x")+"#transport="+tc.transport)
			if err != nil {
				t.Fatal(err)
			}
			i := src.Info()
			if i.Width != 350 || i.Height != 200 || !i.Live || i.Format != tc.codec.name {
				t.Errorf("Info = %+v", i)
			}
			last := time.Duration(-1)
			for range 40 {
				f, err := read(t, src)
				if err != nil {
					t.Fatal(err)
				}
				checkBars(t, f)
				if f.PTS <= last || f.PTS%(time.Second/25) != 0 {
					t.Errorf("PTS %v after %v, want a later multiple of 40 ms", f.PTS, last)
				}
				last = f.PTS
				if age := time.Since(f.Captured); age < 0 || age > patience {
					t.Errorf("frame was captured %v ago", age)
				}
				f.Release()
			}
		})
	}
}

func TestReadsMotionJPEG(t *testing.T) {
	f := &format.MJPEG{}
	encoder, err := f.CreateEncoder()
	if err != nil {
		t.Fatal(err)
	}
	// RFC 2435 sizes are multiples of eight.
	picture := ffmpeg(t, "-f", "lavfi", "-i", "color=orange:size=320x240", "-frames:v", "1", "-pix_fmt", "yuvj420p",
		"-c:v", "mjpeg", "-huffman", "default", "-q:v", "2", "-f", "mjpeg", "-")
	packets, err := encoder.Encode(picture)
	if err != nil {
		t.Fatal(err)
	}
	cam := serve(t, f, [][]*rtp.Packet{packets})
	src, err := open(t, cam.address("", "/live"))
	if err != nil {
		t.Fatal(err)
	}
	if i := src.Info(); i.Width != 320 || i.Height != 240 || i.Format != "MJPEG" {
		t.Errorf("Info = %+v", i)
	}
	for range 3 {
		f, err := read(t, src)
		if err != nil {
			t.Fatal(err)
		}
		for c, want := range []int{0, 165, 255} {
			if got := int(f.Pix[c]); got < want-12 || got > want+12 {
				t.Errorf("byte %d = %d, want about %d", c, got, want)
			}
		}
		f.Release()
	}
}

func TestPassword(t *testing.T) {
	cam := serveCoded(t, codecH264(), encode(t, codecH264(), bars, "-g", "10", "-tune", "zerolatency"))
	cam.user = "admin"
	src, err := open(t, cam.address("admin:s3cret@", "/live"))
	if err != nil {
		t.Fatalf("Open with the right password: %v", err)
	}
	if strings.Contains(src.Info().Name, "s3cret") {
		t.Errorf("Info.Name = %q holds the password", src.Info().Name)
	}
	for credentials, secret := range map[string]string{"admin:wr0ng@": "wr0ng", "": "none given"} {
		_, err = open(t, cam.address(credentials, "/live"))
		if !errors.Is(err, fs.ErrPermission) || !errors.Is(err, camera.ErrPermanent) {
			t.Errorf("Open as %q = %v; want a permanent refusal", credentials, err)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q holds the password", err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	cam := serveCoded(t, codecH264(), encode(t, codecH264(), bars, "-g", "10"))
	if _, err := open(t, cam.address("", "/other")); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, camera.ErrPermanent) {
		t.Errorf("Open of an unknown path = %v; want that it does not exist, to be retried", err)
	}
	t.Run("sound only", func(t *testing.T) {
		sound := serve(t, &format.Opus{PayloadTyp: 96, ChannelCount: 2}, nil)
		if _, err := open(t, sound.address("", "/live")); !errors.Is(err, camera.ErrPermanent) || !strings.Contains(err.Error(), "Opus") {
			t.Errorf("Open = %v; want a permanent error that names what there is", err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, "rtsp://u:s3cret@"+address+"/live"); !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open = %v; want connection refused, without the password", err)
		}
	})
	t.Run("no ffmpeg", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := open(t, cam.address("", "/live")); !errors.Is(err, camera.ErrPermanent) || !strings.Contains(err.Error(), "install the package ffmpeg") {
			t.Errorf("Open = %v; want a sentence on the missing package", err)
		}
	})
}

// openLacking opens a camera whose access units lack something, and returns the error.
func openLacking(t *testing.T, c codec, lack func(au [][]byte) [][]byte) error {
	t.Helper()
	var units [][][]byte
	for _, au := range encode(t, c, bars, "-g", "10", "-tune", "zerolatency") {
		if au = lack(au); len(au) > 0 {
			units = append(units, au)
		}
	}
	uri := camera.URI{Scheme: "rtsp", Address: serveCoded(t, c, units).address("", "/live")}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	src, err := Open(ctx, uri, camera.Want{})
	if err == nil {
		t.Fatalf("Open succeeded: %+v, %v", src.Info(), src.Close())
	}
	return err
}

// Why a camera that sends pictures shows none must not be left to guesses.
func TestOpenNamesWhatIsLacking(t *testing.T) {
	for _, c := range []codec{codecH264(), codecH265()} {
		t.Run(c.name, func(t *testing.T) {
			err := openLacking(t, c, func(au [][]byte) [][]byte {
				if c.isKey(au) {
					return nil
				}
				return au
			})
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no key frame") {
				t.Errorf("Open of a camera without key frames = %v; want a deadline that names them", err)
			}
			err = openLacking(t, c, func(au [][]byte) [][]byte {
				return slices.DeleteFunc(au, func(nalu []byte) bool { return c.isSPS(nalu) })
			})
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "without parameter sets") {
				t.Errorf("Open of a camera without parameter sets = %v; want a deadline that names them", err)
			}
		})
	}
}

// Every picture that the camera numbers in its clock is either delivered or told as skipped.
func TestSkippedPicturesAreCounted(t *testing.T) {
	c := codecH264()
	cam := serveCoded(t, c, encode(t, c, bars, "-g", "10", "-tune", "zerolatency"))
	src, err := open(t, cam.address("", "/live"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := read(t, src)
	if err != nil {
		t.Fatal(err)
	}
	if f.PTS != 0 || f.Skipped != 0 {
		t.Fatalf("first frame has PTS %v and %d skipped, want none", f.PTS, f.Skipped)
	}
	f.Release()
	inner := src.(*source)
	for inner.Skipped.Load() < 5 { // give frames up instead of reading them
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if f, err = read(t, src); err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	// The counter and the slot are not read at one instant.
	number := int(f.PTS / (time.Second / 25))
	if skipped := int(f.Skipped); skipped < 5 || skipped < number-2 || skipped > number {
		t.Errorf("picture %d after picture 0 tells of %d skipped, want %d", number, skipped, number-1)
	}
}

// A camera that accepts and then says nothing must not hold Open longer than its context.
func TestOpenHeedsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan net.Conn, 1)
	go func() {
		if conn, err := l.Accept(); err == nil {
			cancel()
			accepted <- conn
		}
	}()
	_, err = Open(ctx, camera.URI{Scheme: "rtsp", Address: "rtsp://" + l.Addr().String() + "/live"}, camera.Want{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want context.Canceled", err)
	}
	if err := errors.Join((<-accepted).Close(), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestServerDisappears(t *testing.T) {
	cam := serveCoded(t, codecH264(), encode(t, codecH264(), bars, "-g", "10", "-tune", "zerolatency"))
	src, err := open(t, cam.address("", "/live"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, src); err != nil {
		t.Fatal(err)
	}
	cam.close()
	for {
		f, err := read(t, src)
		if err == nil { // was on its way
			f.Release()
			continue
		}
		if errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Read = %v; want the end of the connection, which is a fault", err)
		}
		return
	}
}

func TestSizeChange(t *testing.T) {
	c := codecH264()
	units := encode(t, c, bars, "-g", "10", "-tune", "zerolatency")
	units = append(units, encode(t, c, "smptebars=size=320x240:rate=25:duration=1", "-g", "10", "-tune", "zerolatency")...)
	src, err := open(t, serveCoded(t, c, units).address("", "/live"))
	if err != nil {
		t.Fatal(err)
	}
	want := src.Info()
	for {
		f, err := read(t, src)
		if err != nil {
			if !strings.Contains(err.Error(), "changes its size from") {
				t.Errorf("Read = %v; want the change of size", err)
			}
			return
		}
		if f.Width != want.Width || f.Height != want.Height {
			t.Fatalf("frame has %d×%d pixels, want %d×%d", f.Width, f.Height, want.Width, want.Height)
		}
		f.Release()
	}
}

// Pictures of random bytes, and a parameter set that is none, must not end the stream.
func TestGarbage(t *testing.T) {
	c := codecH264()
	units := encode(t, c, bars, "-g", "10", "-tune", "zerolatency")
	for i := range units {
		if i%10 != 0 {
			units[i] = [][]byte{{0x67, 0xff}, append([]byte{0x41}, randomBytes(200)...)}
		}
	}
	src, err := open(t, serveCoded(t, c, units).address("", "/live"))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		f, err := read(t, src)
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
}

// A decoder that hangs, so that the pipe to it fills up, must not hold Close.
func TestCloseEndsHangingDecoder(t *testing.T) {
	c := codecH264()
	units := encode(t, c, bars, "-g", "10", "-tune", "zerolatency")
	// More than a pipe holds; NAL units of type 12 are filler.
	units[0] = append(units[0], append([]byte{0x0c}, randomBytes(150_000)...))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte("#!/bin/sh\nexec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	uri := camera.URI{Scheme: "rtsp", Address: serveCoded(t, c, units).address("", "/live")}
	src, err := Open(t.Context(), uri, camera.Want{})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { closeClean(t, src); close(closed) }()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close waits for a decoder that hangs")
	}
}

func TestCloseEndsRead(t *testing.T) {
	c := codecH264()
	cam := serveCoded(t, c, encode(t, c, bars, "-g", "10", "-tune", "zerolatency"))
	src, err := open(t, cam.address("", "/live"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for {
			f, err := src.Read(context.Background())
			if err != nil {
				done <- err
				return
			}
			f.Release()
		}
	}()
	closeClean(t, src)
	if err := <-done; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read = %v, want fs.ErrClosed", err)
	}
}
