package dir

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func writePNG(t *testing.T, path string, w, h int, c color.Color) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, img), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// claimSize writes another size into the header of a PNG file (PNG section 11.2.1), whose
// checksum it mends.
func claimSize(t *testing.T, path string, w, h uint32) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(data[16:], w)
	binary.BigEndian.PutUint32(data[20:], h)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, address string) (camera.Source, error) {
	t.Helper()
	uri, err := camera.ParseURI(address)
	if err != nil {
		t.Fatal(err)
	}
	return Open(t.Context(), uri, camera.Want{})
}

func TestReadsInOrder(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "b.PNG"), 8, 4, color.RGBA{0, 255, 0, 255})
	writePNG(t, filepath.Join(dir, "a.x.png"), 4, 8, color.RGBA{255, 0, 0, 255})
	writePNG(t, filepath.Join(dir, "10.png"), 2, 2, color.RGBA{10, 20, 30, 255})
	writePNG(t, filepath.Join(dir, "9.png"), 2, 2, color.RGBA{0, 0, 255, 255})
	for _, other := range []string{"notes.txt", ".png.swp"} {
		if err := os.WriteFile(filepath.Join(dir, other), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.png"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name    string
		w, h    int
		b, g, r byte
	}{{"10", 2, 2, 30, 20, 10}, {"9", 2, 2, 255, 0, 0}, {"a.x", 4, 8, 0, 0, 255}, {"b", 8, 4, 0, 255, 0}}
	for _, loop := range []bool{false, true} {
		address := "dir:" + dir + "?fps=4"
		if loop {
			address += "&loop=1"
		}
		src, err := open(t, address)
		if err != nil {
			t.Fatal(err)
		}
		i := src.Info()
		if i.Width != 2 || i.Height != 2 || i.FPS != 4 || i.Live {
			t.Errorf("Info = %+v", i)
		}
		for i := range map[bool]int{false: 4, true: 9}[loop] {
			w := want[i%len(want)]
			f, err := src.Read(t.Context())
			if err != nil {
				t.Fatalf("Read %d: %v", i, err)
			}
			if f.Name != w.name || f.Width != w.w || f.Height != w.h || len(f.Pix) != w.w*w.h*3 {
				t.Errorf("frame %d is %q %d×%d, want %+v", i, f.Name, f.Width, f.Height, w)
			}
			if got := [3]byte(f.Pix[len(f.Pix)-3:]); got != [3]byte{w.b, w.g, w.r} {
				t.Errorf("frame %d has colour %v, want %+v", i, got, w)
			}
			if pts := time.Duration(i) * 250 * time.Millisecond; f.PTS != pts || f.Captured.IsZero() {
				t.Errorf("frame %d has PTS %v and time %v, want %v and now", i, f.PTS, f.Captured, pts)
			}
			f.Release()
		}
		if !loop {
			if _, err := src.Read(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("Read at the end = %v, want io.EOF", err)
			}
		}
		if err := errors.Join(src.Close(), src.Close()); err != nil {
			t.Error(err)
		}
		if _, err := src.Read(t.Context()); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Read after Close = %v, want fs.ErrClosed", err)
		}
	}
}

// The other formats are made by FFmpeg, not by what reads them.
func TestFormats(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	for _, ext := range []string{"jpg", "jpeg", "bmp", "webp", "JPG"} {
		dir := t.TempDir()
		out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=orange:size=32x16",
			"-frames:v", "1", "-update", "1", filepath.Join(dir, "x."+ext)).CombinedOutput()
		if err != nil {
			t.Fatalf("ffmpeg: %v\n%s", err, out)
		}
		src, err := open(t, "dir:"+dir)
		if err != nil {
			t.Errorf("%s: %v", ext, err)
			continue
		}
		f, err := src.Read(t.Context())
		if err != nil {
			t.Errorf("%s: %v", ext, err)
			continue
		}
		// Orange is 255, 165, 0; subsampled chroma and limited range cost a few levels.
		for i, want := range []int{0, 165, 255} {
			if got := int(f.Pix[i]); got < want-12 || got > want+12 {
				t.Errorf("%s: byte %d = %d, want about %d", ext, i, got, want)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	empty, bad, late, huge, twins := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	for _, name := range []string{"a.b.png", "a.jpg", "a.png"} {
		writePNG(t, filepath.Join(twins, name), 2, 2, color.Black)
	}
	writePNG(t, filepath.Join(huge, "huge.png"), 2, 2, color.Black)
	claimSize(t, filepath.Join(huge, "huge.png"), 40000, 40000)
	writePNG(t, filepath.Join(late, "1.png"), 2, 2, color.Black)
	file := filepath.Join(late, "1.png")
	for path, data := range map[string]string{filepath.Join(bad, "broken.png"): "no image", filepath.Join(late, "2.jpg"): "", filepath.Join(empty, "x.txt"): "x"} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct{ path, want string }{
		"missing":       {filepath.Join(empty, "none"), "no such file"},
		"without image": {empty, "holds no images"},
		"a file":        {file, "file:" + file},
		"broken first":  {bad, "broken.png"},
		"huge":          {huge, "huge.png cannot be decoded: it has 40000×40000 pixels"},
		"same name":     {twins, "a.jpg and a.png have the same name"},
	} {
		if _, err := open(t, "dir:"+tc.path); !errors.Is(err, camera.ErrPermanent) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Open = %v; want a permanent error with %q", name, err, tc.want)
		}
	}
	src, err := open(t, "dir:"+late)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Read(t.Context()); err != nil {
		t.Errorf("Read of a good image: %v", err)
	}
	if _, err := src.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "2.jpg") {
		t.Errorf("Read of an empty image = %v; want an error that names it", err)
	}
}

func TestPacedReadEnds(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "1.png"), 2, 2, color.Black)
	for name, byClose := range map[string]bool{"by context": false, "by Close": true} {
		src, err := open(t, "dir:"+dir+"?pace=1&loop=1&fps=0.001")
		if err != nil {
			t.Fatal(err)
		}
		if !src.Info().Live {
			t.Errorf("%s: Live = false with pace=1", name)
		}
		if _, err := src.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := src.Read(ctx); done <- err }() // due in a quarter of an hour
		if byClose {
			err = src.Close()
		} else {
			cancel()
		}
		if got := <-done; got == nil || err != nil {
			t.Errorf("%s: Read = %v, Close = %v; want an error and nil", name, got, err)
		}
		cancel()
	}
}
