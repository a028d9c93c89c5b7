package calibrate_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/quantize/calibrate"
	"github.com/robustnet-edge/robustnet/train/data"
)

// TestVideo takes frames of a clip of pure red whose brightness falls from frame to frame.
func TestVideo(t *testing.T) {
	clip := filepath.Join(t.TempDir(), "clip.mp4")
	make := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:size=64x48:rate=10:duration=1.2,fade=out:0:12", "-pix_fmt", "yuv444p", clip)
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	v, err := calibrate.OpenVideo(t.Context(), clip)
	if err != nil {
		t.Fatal(err)
	}
	if v.Len() != 12 || v.Name() != clip {
		t.Errorf("%s has %d frames, want 12", v.Name(), v.Len())
	}
	var reds []uint8
	err = v.Read(t.Context(), []int{0, 6, 11}, func(p *data.Picture) error {
		if p.Width != 64 || p.Height != 48 || len(p.RGB) != 3*64*48 || p.RGB[1] > 20 || p.RGB[2] > 20 {
			t.Errorf("a frame of %d×%d, its first pixel %v; want red", p.Width, p.Height, p.RGB[:3])
		}
		reds = append(reds, p.RGB[0])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(reds) != 3 || reds[0] < 230 || reds[1] > reds[0]-50 || reds[2] > reds[1]-50 {
		t.Errorf("red of the frames: %v, want it to fall", reds)
	}
	if err := v.Read(t.Context(), []int{50}, nil); err == nil || !strings.Contains(err.Error(), "it has become shorter") {
		t.Errorf("a frame beyond the end: %v", err)
	}
	if _, err := calibrate.OpenVideo(t.Context(), filepath.Join(t.TempDir(), "none.mp4")); err == nil {
		t.Error("a video that is not there opens")
	}
}
