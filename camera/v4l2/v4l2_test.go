package v4l2

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noise are random bytes from a fixed seed.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return b
}

// grey is a YUYV picture of one brightness.
func grey(width, height int, y byte) []byte { return bytes.Repeat([]byte{y, 128}, width*height) }

// coded is a JPEG of one brightness.
func coded(t *testing.T, width, height int, y byte) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.SetGray(i%width, i/width, color.Gray{Y: y})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func bgrOf(t *testing.T, f *camera.Frame) []byte {
	t.Helper()
	bgr, err := f.BGR()
	if err != nil {
		t.Fatal(err)
	}
	return bgr
}

const small = "/dev/video0?size=64x48"

// openOne opens a camera of one node in YUYV 64x48.
func openOne(t *testing.T, d *fakeDriver) camera.Source {
	t.Helper()
	if d.formats == nil {
		d.formats = webcam()
	}
	src, err := openWith(t, newFake(t, map[string]*fakeDriver{"/dev/video0": d}), small, camera.Want{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestReadsFrames(t *testing.T) {
	d := &fakeDriver{formats: webcam()}
	src, err := openWith(t, newFake(t, map[string]*fakeDriver{"/dev/video0": d}), "/dev/video0?fps=15", camera.Want{Width: 64, Height: 48})
	if err != nil {
		t.Fatal(err)
	}
	got, want := src.Info(), camera.Info{Width: 64, Height: 48, FPS: 30, Live: true, Format: "YUYV"}
	if want.Name = got.Name; got != want || filepath.Base(got.Name) != "video0" {
		t.Errorf("Info = %+v, want %+v", got, want)
	}
	if len(d.queued) != wantedBuffers || !d.streams {
		t.Errorf("driver has buffers %v, streaming %v; want all of %d, streaming", d.queued, d.streams, wantedBuffers)
	}
	for i, level := range []byte{235, 16} {
		d.deliver(delivery{bytes: grey(64, 48, level), sequence: uint32(i)})
		f, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if raw, format := f.Raw(); format != camera.YUYV || !bytes.Equal(raw, grey(64, 48, level)) || i == 0 && f.Pix != nil {
			t.Errorf("frame %d: raw %s, %d bytes of Pix; want the driver's YUYV, not converted", i, format, len(f.Pix))
		}
		bgr, white := bgrOf(t, f), byte(255*(1-i))
		if bgr[0] != white || bgr[len(bgr)-1] != white || f.Captured.IsZero() || f.PTS < 0 || f.Skipped != 0 {
			t.Errorf("frame %d: pixels %d..%d at %v, skipped %d; want %d", i, bgr[0], bgr[len(bgr)-1], f.Captured, f.Skipped, white)
		}
		f.Release()
	}
	if err := errors.Join(src.Close(), src.Close()); err != nil {
		t.Errorf("Close twice = %v", err)
	}
	if d.streams {
		t.Error("driver streams after Close")
	}
	if _, err := src.Read(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close = %v, want fs.ErrClosed", err)
	}
}

// A buffer may only go back when its bytes are in the frame.
func TestBufferIsCopiedBeforeItGoesBack(t *testing.T) {
	d := &fakeDriver{buffers: 1}
	src := openOne(t, d)
	var frames []*camera.Frame
	for i := range 3 { // a second picture can only come if the buffer went back
		d.deliver(delivery{bytes: grey(64, 48, byte(50+i)), sequence: uint32(i)})
		f, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	for i, f := range frames {
		if raw, _ := f.Raw(); raw[0] != byte(50+i) {
			t.Errorf("frame %d has the pixels %d, want %d", i, raw[0], 50+i)
		}
	}
}

func TestOpenFaults(t *testing.T) {
	fail := func(request uintptr, err error) *fakeDriver {
		return &fakeDriver{formats: webcam(), fail: map[uintptr]error{request: err}}
	}
	other := func(change func(*layout)) *fakeDriver {
		return &fakeDriver{formats: webcam(), set: func(l layout) layout { change(&l); return l }}
	}
	for name, tc := range map[string]struct {
		driver  *fakeDriver
		address string
		is      error
		says    string
	}{
		"denied":               {&fakeDriver{openErr: syscall.EACCES}, small, fs.ErrPermission, "usermod -aG video"},
		"kept away":            {&fakeDriver{openErr: syscall.EPERM}, small, fs.ErrPermission, "DeviceAllow"},
		"nothing behind":       {&fakeDriver{openErr: syscall.ENXIO}, small, syscall.ENXIO, "nothing is behind this node"},
		"gone at open":         {&fakeDriver{openErr: syscall.ENODEV}, small, syscall.ENODEV, "unplugged"},
		"busy at open":         {&fakeDriver{openErr: syscall.EBUSY}, small, syscall.EBUSY, "fuser"},
		"no camera at all":     {fail(doCapability, syscall.ENOTTY), small, camera.ErrPermanent, "not a V4L2 device"},
		"metadata":             {&fakeDriver{capabilities: capMetadata | capStreaming}, small, camera.ErrPermanent, "only metadata"},
		"output":               {&fakeDriver{capabilities: capStreaming}, small, camera.ErrPermanent, "no pictures"},
		"multi-planar":         {&fakeDriver{capabilities: capMultiPlanar | capStreaming}, small, camera.ErrPermanent, "multi-planar interface only"},
		"read() only":          {&fakeDriver{capabilities: capCapture}, small, camera.ErrPermanent, "no buffers to map"},
		"old read() only":      {&fakeDriver{capabilities: capCapture, allNodes: true}, small, camera.ErrPermanent, "no buffers to map"},
		"no formats":           {&fakeDriver{}, small, camera.ErrPermanent, "no picture format"},
		"unreadable formats":   {&fakeDriver{formats: []fakeFormat{listed("Z16 ", 30, [2]int{64, 48})}}, small, camera.ErrPermanent, "Z16"},
		"no such format":       {&fakeDriver{formats: webcam()}, "/dev/video0?format=NV12", camera.ErrPermanent, "YUYV 640x480"},
		"no such size":         {&fakeDriver{formats: webcam()}, "/dev/video0?size=128x96", camera.ErrPermanent, "YUYV 640x480"},
		"gone while listing":   {fail(doSize, syscall.ENODEV), small, syscall.ENODEV, "VIDIOC_ENUM_FRAMESIZES"},
		"gone listing rates":   {fail(doInterval, syscall.ENODEV), small, syscall.ENODEV, "VIDIOC_ENUM_FRAMEINTERVALS"},
		"busy at S_FMT":        {fail(doSetFormat, syscall.EBUSY), small, syscall.EBUSY, "VIDIOC_S_FMT"},
		"busy at S_PARM":       {fail(doSetRate, syscall.EBUSY), small, syscall.EBUSY, "another program"},
		"busy at REQBUFS":      {fail(doRequest, syscall.EBUSY), small, syscall.EBUSY, "VIDIOC_REQBUFS"},
		"no memory":            {fail(doRequest, syscall.ENOMEM), small, syscall.ENOMEM, "smaller size"},
		"no buffers":           {&fakeDriver{formats: webcam(), buffers: -1}, small, syscall.ENOMEM, "gives 0 buffers"},
		"too many buffers":     {&fakeDriver{formats: webcam(), buffers: 33}, small, syscall.ENOMEM, "gives 33 buffers"},
		"buffers are unknown":  {fail(doDescribe, syscall.EINVAL), small, syscall.EINVAL, "VIDIOC_QUERYBUF"},
		"short buffers":        {&fakeDriver{formats: webcam(), short: 64*48*2*2 - 100}, small, nil, "buffer has 100 bytes, a picture 6144"},
		"no mapping":           {fail(callMap, syscall.EAGAIN), small, syscall.EAGAIN, "map buffer 0"},
		"no queueing":          {fail(doQueue, syscall.EIO), small, syscall.EIO, "dmesg"},
		"no bandwidth":         {fail(doStart, syscall.ENOSPC), small, syscall.ENOSPC, "bandwidth"},
		"gone at STREAMON":     {fail(doStart, syscall.ENODEV), small, syscall.ENODEV, "VIDIOC_STREAMON"},
		"no answer":            {fail(doStart, syscall.ETIMEDOUT), small, syscall.ETIMEDOUT, "does not answer"},
		"other size set":       {other(func(l *layout) { l.width = 32 }), small, camera.ErrPermanent, "driver set YUYV 32x48 when asked for YUYV 64x48"},
		"other format set":     {other(func(l *layout) { l.format = newFourCC("MJPG") }), "/dev/video0?format=YUYV", camera.ErrPermanent, "driver set MJPG"},
		"unreadable format":    {other(func(l *layout) { l.format = newFourCC("Y16 ") }), small, camera.ErrPermanent, "driver set Y16 64x48, which cannot be read"},
		"narrow rows":          {other(func(l *layout) { l.stride = 100 }), small, camera.ErrPermanent, "rows of 100 bytes for YUYV 64x48, which need 128"},
		"odd size":             {other(func(l *layout) { l.width = 63 }), "/dev/video0?format=YUYV", camera.ErrPermanent, "cannot be read"},
		"giant size":           {other(func(l *layout) { l.width = 1 << 30 }), "/dev/video0", camera.ErrPermanent, "cannot be read"},
		"unplugged since":      {&fakeDriver{}, "/dev/video7", fs.ErrNotExist, "plug the camera in"},
		"several, none fit":    {&fakeDriver{formats: webcam()}, "v4l2:?serial=X1", syscall.ENODEV, "serial number X1"},
		"several, none fit 2":  {&fakeDriver{formats: webcam()}, "v4l2:?port=1-9", syscall.ENODEV, "port 1-9"},
		"calls that hang up":   {fail(doGetRate, syscall.EPROTO), small, syscall.EPROTO, "dmesg"},
		"capability goes away": {fail(doCapability, syscall.ENODEV), small, syscall.ENODEV, "unplugged"},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := openWith(t, newFake(t, map[string]*fakeDriver{"/dev/video0": tc.driver}), tc.address, camera.Want{})
			if err == nil {
				t.Fatalf("Open = %+v, want an error", src.Info())
			}
			if tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("Open = %v; want %v and %q", err, tc.is, tc.says)
			}
			if errors.Is(err, camera.ErrPermanent) != (tc.is == camera.ErrPermanent) {
				t.Errorf("Open = %v, permanent: %v", err, errors.Is(err, camera.ErrPermanent))
			}
		})
	}
}

// Where the address does not insist, what the driver sets is taken.
func TestOtherFormatIsTaken(t *testing.T) {
	d := &fakeDriver{formats: webcam(), set: func(l layout) layout {
		return layout{format: newFourCC("GREY"), width: 62, height: 33, stride: 64, bytes: 64 * 33}
	}}
	src, err := openWith(t, newFake(t, map[string]*fakeDriver{"/dev/video0": d}), "/dev/video0", camera.Want{})
	if err != nil {
		t.Fatal(err)
	}
	if i := src.Info(); i.Format != "GREY" || i.Width != 62 || i.Height != 33 {
		t.Errorf("Info = %+v, want GREY 62×33", i)
	}
	d.deliver(delivery{bytes: bytes.Repeat([]byte{9}, 64*33)})
	f, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bgr := bgrOf(t, f); len(bgr) != 62*33*3 || bgr[0] != 9 || bgr[len(bgr)-1] != 9 {
		t.Errorf("pixels %d…%d in %d bytes, want 9", bgr[0], bgr[len(bgr)-1], len(bgr))
	}
}

func TestFirstCamera(t *testing.T) {
	silent := &fakeDriver{formats: webcam()}
	k := newFake(t, map[string]*fakeDriver{
		"/dev/video0": {capabilities: capMetadata}, "/dev/video2": silent,
		"/dev/video10": {formats: webcam(), atStart: []delivery{{bytes: grey(64, 48, 235)}}},
	})
	src, err := openWith(t, k, "v4l2:?size=64x48", camera.Want{})
	if err != nil || filepath.Base(src.Info().Name) != "video10" {
		t.Fatalf("Open = %v, %v; want the node that has pictures", src, err)
	}
	if silent.streams {
		t.Error("the silent camera before it still streams")
	}
	if f, err := src.Read(t.Context()); err != nil || bgrOf(t, f)[0] != 255 {
		t.Errorf("Read = %v, %v; want the picture that showed that the camera works", f, err)
	}
}

func TestOnlySilentCameras(t *testing.T) {
	k := newFake(t, map[string]*fakeDriver{"/dev/video0": {formats: webcam()}, "/dev/video1": {formats: webcam()}})
	if _, err := openWith(t, k, "v4l2:?size=64x48", camera.Want{}); !errors.Is(err, camera.ErrStalled) || errors.Is(err, camera.ErrPermanent) {
		t.Errorf("Open = %v; want ErrStalled, to be retried", err)
	}
}

// A camera whose other node has metadata is given the time that it needs.
func TestSlowCameraAlone(t *testing.T) {
	k := newFake(t, map[string]*fakeDriver{"/dev/video0": {formats: webcam()}, "/dev/video1": {capabilities: capMetadata}})
	if _, err := openWith(t, k, "v4l2:?size=64x48", camera.Want{}); err != nil {
		t.Errorf("Open = %v; want the camera, which is silent as yet", err)
	}
}

func TestOnlyNodesWithoutPictures(t *testing.T) {
	none := newFake(t, map[string]*fakeDriver{"/dev/video0": {capabilities: capMetadata}, "/dev/video1": {capabilities: capStreaming}})
	if _, err := openWith(t, none, "v4l2:", camera.Want{}); !errors.Is(err, camera.ErrPermanent) || !errors.Is(err, errNoCamera) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open = %v; want both nodes' fault in one line", err)
	}
}

// A node without pictures does not make the fault of another one permanent.
func TestBusyAmongOthers(t *testing.T) {
	k := newFake(t, map[string]*fakeDriver{
		"/dev/video0": {formats: webcam(), fail: map[uintptr]error{doSetFormat: syscall.EBUSY}}, "/dev/video1": {},
	})
	if _, err := openWith(t, k, "v4l2:", camera.Want{}); !errors.Is(err, syscall.EBUSY) || errors.Is(err, camera.ErrPermanent) {
		t.Errorf("Open = %v; want EBUSY, to be retried", err)
	}
}

// The real look-up, on what is surely not a camera.
func TestNoCamera(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "video0")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"/dev/video-none": fs.ErrNotExist,
		"/dev/null":       syscall.ENOTTY,
		file:              syscall.ENOTTY,
		dir:               syscall.EISDIR,
	} {
		_, err := Open(t.Context(), camera.URI{Scheme: "v4l2", Path: path}, camera.Want{})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s) = %v; want %v", path, err, want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ended, camera.URI{Scheme: "v4l2", Path: file}, camera.Want{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with an ended context = %v", err)
	}
	none := machineFiles{kernel: system{}, dev: t.TempDir(), sys: "/sys"}
	if _, err := none.open(t.Context(), camera.URI{Scheme: "v4l2"}, camera.Want{}); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "robustnet-edge cameras") {
		t.Errorf("Open without any node = %v; want ENODEV and the next step", err)
	}
}
