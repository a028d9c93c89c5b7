package v4l2

import (
	"context"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"
	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDevice plays back results.
type fakeDevice struct {
	modes             []prop.Media
	openErr, startErr error
	reads             []any // image.Image or error; io.EOF follows
	started           prop.Media
	opened, closed    int
	released          int
	reading           chan struct{} // if set, Read blocks until Close
	shut              chan struct{}
}

func (d *fakeDevice) Open() error { d.opened++; return d.openErr }

func (d *fakeDevice) Close() error {
	if d.closed++; d.shut != nil {
		close(d.shut)
	}
	return nil
}

func (d *fakeDevice) Properties() []prop.Media { return d.modes }

func (d *fakeDevice) VideoRecord(m prop.Media) (video.Reader, error) {
	d.started = m
	return video.ReaderFunc(d.read), d.startErr
}

func (d *fakeDevice) read() (image.Image, func(), error) {
	if d.reading != nil {
		close(d.reading)
		<-d.shut
	}
	if len(d.reads) == 0 {
		return nil, nil, io.EOF
	}
	next := d.reads[0]
	d.reads = d.reads[1:]
	if err, ok := next.(error); ok {
		return nil, nil, err
	}
	return next.(image.Image), func() { d.released++ }, nil
}

func openFake(t *testing.T, address string, want camera.Want, devices ...*fakeDevice) (camera.Source, error) {
	t.Helper()
	uri, err := camera.ParseURI(address)
	if err != nil {
		t.Fatal(err)
	}
	src, err := open(t.Context(), uri, want, func(string) ([]node, error) {
		var nodes []node
		for i, d := range devices {
			nodes = append(nodes, node{device: d, path: "/dev/video" + string(rune('0'+i))})
		}
		return nodes, nil
	})
	if err == nil {
		t.Cleanup(func() {
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return src, err
}

func yuv(w, h int, y byte) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio422)
	for i := range img.Y {
		img.Y[i] = y
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 128, 128
	}
	return img
}

func TestReadsFrames(t *testing.T) {
	d := &fakeDevice{
		modes: []prop.Media{mode(frame.FormatYUYV, 640, 480, 30), mode(frame.FormatYUYV, 32, 16, 30)},
		reads: []any{yuv(32, 16, 235), yuv(32, 16, 16)},
	}
	src, err := openFake(t, "/dev/video0?fps=15", camera.Want{Width: 32, Height: 16}, d)
	if err != nil {
		t.Fatal(err)
	}
	want := camera.Info{Name: "/dev/video0", Width: 32, Height: 16, FPS: 30, Live: true, Format: "YUYV"}
	if got := src.Info(); got != want {
		t.Errorf("Info = %+v, want %+v", got, want)
	}
	for i, level := range []byte{255, 0} {
		f, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Pix[0] != level || f.Pix[len(f.Pix)-1] != level || f.Captured.IsZero() || f.PTS < 0 {
			t.Errorf("frame %d: pixels %d..%d at %v, want %d", i, f.Pix[0], f.Pix[len(f.Pix)-1], f.Captured, level)
		}
		f.Release()
	}
	if d.released != 2 {
		t.Errorf("%d driver buffers were released, want 2", d.released)
	}
	if err := errors.Join(src.Close(), src.Close()); err != nil || d.closed != 1 {
		t.Errorf("Close twice = %v and closes the device %d times, want once", err, d.closed)
	}
	if _, err := src.Read(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close = %v, want fs.ErrClosed", err)
	}
}

func TestOpenFaults(t *testing.T) {
	modes := []prop.Media{mode(frame.FormatYUYV, 640, 480, 30)}
	for name, tc := range map[string]struct {
		device  *fakeDevice
		address string
		is      error
		says    string
	}{
		"busy as text": {&fakeDevice{modes: modes, startErr: errors.New("Failed to start streaming: device or resource busy")}, "/dev/video0", syscall.EBUSY, "fuser"},
		"busy":         {&fakeDevice{modes: modes, startErr: syscall.EBUSY}, "/dev/video0", syscall.EBUSY, "another program"},
		"denied":       {&fakeDevice{openErr: syscall.EACCES}, "/dev/video0", fs.ErrPermission, "group video"},
		"gone":         {&fakeDevice{modes: modes, startErr: syscall.ENODEV}, "/dev/video0", syscall.ENODEV, "plug the camera in"},
		"no modes":     {&fakeDevice{}, "/dev/video0", camera.ErrPermanent, "no modes"},
		"no such mode": {&fakeDevice{modes: modes}, "/dev/video0?format=MJPEG", camera.ErrPermanent, "YUYV 640x480"},
		"no such size": {&fakeDevice{modes: modes}, "/dev/video0?size=1280x720", camera.ErrPermanent, "YUYV 640x480"},
	} {
		src, err := openFake(t, tc.address, camera.Want{}, tc.device)
		if err == nil {
			t.Errorf("%s: Open = %+v, want an error", name, src.Info())
			continue
		}
		if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "/dev/video0") {
			t.Errorf("%s: Open = %v; want %v and %q", name, err, tc.is, tc.says)
		}
		// The driver closes by itself what it could not start.
		if d := tc.device; d.openErr == nil && d.startErr == nil && d.closed != 1 {
			t.Errorf("%s: the device was closed %d times, want once", name, d.closed)
		}
	}
}

func TestFirstCamera(t *testing.T) {
	good := &fakeDevice{modes: []prop.Media{mode(frame.FormatYUYV, 640, 480, 30)}}
	src, err := openFake(t, "v4l2:", camera.Want{}, &fakeDevice{}, good)
	if err != nil || src.Info().Name != "/dev/video1" {
		t.Fatalf("Open = %v, %v; want the node that has pictures", src, err)
	}
	// A node without pictures does not make the fault of the other one permanent.
	busy := &fakeDevice{modes: good.modes, startErr: syscall.EBUSY}
	if _, err := openFake(t, "v4l2:", camera.Want{}, busy, &fakeDevice{}); !errors.Is(err, syscall.EBUSY) || errors.Is(err, camera.ErrPermanent) {
		t.Errorf("Open = %v; want EBUSY, to be retried", err)
	}
}

func TestReadFaults(t *testing.T) {
	damage := make([]any, maxCorrupt)
	for i := range damage {
		damage[i] = jpeg.FormatError("missing SOI marker")
	}
	for name, tc := range map[string]struct {
		reads []any
		is    error // nil: a frame comes
	}{
		"unplugged":        {[]any{syscall.ENODEV}, syscall.ENODEV},
		"silent at first":  {[]any{errSilence, errSilence, errSilence, yuv(32, 16, 50)}, nil},
		"closed":           {nil, fs.ErrClosed},
		"some damage":      {append(append([]any{}, damage...), yuv(32, 16, 50)), nil},
		"nothing but":      {append(append([]any{}, damage...), jpeg.FormatError("last straw")), jpeg.FormatError("last straw")},
		"cut-off jpeg":     {[]any{io.ErrUnexpectedEOF, yuv(32, 16, 50)}, nil},
		"other dimensions": {[]any{yuv(16, 16, 50)}, errAny},
	} {
		src, err := openFake(t, "v4l2:", camera.Want{}, &fakeDevice{modes: []prop.Media{mode(frame.FormatMJPEG, 32, 16, 30)}, reads: tc.reads})
		if err != nil {
			t.Fatal(err)
		}
		f, err := src.Read(t.Context())
		if tc.is == nil && (err != nil || f == nil) || tc.is != nil && (err == nil || tc.is != errAny && !errors.Is(err, tc.is)) {
			t.Errorf("%s: Read = %v, want %v", name, err, tc.is)
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("%s: Read = io.EOF, which only finite sources may return", name)
		}
	}
}

var errAny = errors.New("any error")

// errSilence is the driver's.
var errSilence = errors.New("read timeout")

// Only its caller gives a silent camera up.
func TestSilence(t *testing.T) {
	for name, tc := range map[string]struct {
		end func(src camera.Source, cancel context.CancelFunc) error
		is  error
	}{
		"closed":    {func(src camera.Source, _ context.CancelFunc) error { return src.Close() }, fs.ErrClosed},
		"cancelled": {func(_ camera.Source, cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled},
	} {
		waits := make(chan struct{})
		src := newSource(node{device: &fakeDevice{}}, mode(frame.FormatYUYV, 32, 16, 30),
			video.ReaderFunc(func() (image.Image, func(), error) { waits <- struct{}{}; return nil, nil, errSilence }))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := src.Read(ctx); done <- err }()
		<-waits
		<-waits
		if err := tc.end(src, cancel); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for ended := false; !ended; {
			select {
			case <-waits:
			case err := <-done:
				if ended = true; !errors.Is(err, tc.is) {
					t.Errorf("%s: Read = %v, want %v", name, err, tc.is)
				}
			}
		}
		cancel()
		if err := src.Close(); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
	}
}

func TestReadTimeout(t *testing.T) {
	for set, want := range map[string]string{"": "1", "3": "3"} {
		t.Setenv(readTimeout, set) // restores it in the end
		if set == "" {
			if err := os.Unsetenv(readTimeout); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := enumerate("video-none"); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv(readTimeout); got != want {
			t.Errorf("%s=%q becomes %q, want %q", readTimeout, set, got, want)
		}
	}
}

func TestCloseEndsRead(t *testing.T) {
	d := &fakeDevice{modes: []prop.Media{mode(frame.FormatYUYV, 32, 16, 30)}, reading: make(chan struct{}), shut: make(chan struct{})}
	src, err := openFake(t, "v4l2:", camera.Want{}, d)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := src.Read(context.Background()); done <- err }()
	<-d.reading
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read = %v, want fs.ErrClosed", err)
	}
}

// The real look-up, on what is surely not a camera.
func TestFindNoCamera(t *testing.T) {
	file := filepath.Join(t.TempDir(), "video0")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"/dev/video-none": fs.ErrNotExist,
		"/dev/null":       syscall.ENODEV,
		file:              syscall.ENODEV,
	} {
		_, err := Open(t.Context(), camera.URI{Scheme: "v4l2", Path: path}, camera.Want{})
		if !errors.Is(err, want) || errors.Is(err, camera.ErrPermanent) || !strings.Contains(err.Error(), "v4l2-ctl") {
			t.Errorf("Open(%s) = %v; want %v with the next step, to be retried", path, err, want)
		}
	}
}

// gocv.Merge makes a slice at each call, and YUYV takes two; nothing else may be allocated.
func TestReadAllocatesNothing(t *testing.T) {
	img := yuv(32, 16, 50)
	s := newSource(node{device: &fakeDevice{}}, mode(frame.FormatYUYV, 32, 16, 30),
		video.ReaderFunc(func() (image.Image, func(), error) { return img, func() {}, nil }))
	defer s.Close()
	if n := testing.AllocsPerRun(100, func() {
		f, err := s.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}); n > 2 {
		t.Errorf("Read allocates %v times per frame, want 2 by gocv.Merge and no more", n)
	}
}
