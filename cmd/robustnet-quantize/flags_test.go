package main

import (
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
)

// TestKeepFlag leaves two layers in float, the first and one in the midst.
func TestKeepFlag(t *testing.T) {
	model := streetModel(t)
	m, err := onnx.Unmarshal([]byte(read(t, model)))
	if err != nil {
		t.Fatal(err)
	}
	net, err := quantize.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	kept := []string{net.Layers()[0], net.Layers()[20]}
	r, out := made(t, quick(model, append(smallStreets, "--keep", kept[0], "--keep", kept[1], "--sensitivity", "--rank-pictures", "1")...)...)
	for _, name := range []string{"street.cpu-int8.onnx", "street.trt-int8.onnx"} {
		m, err := onnx.Unmarshal([]byte(read(t, filepath.Join(out, name))))
		if err != nil {
			t.Fatal(err)
		}
		var float []string
		for _, l := range inspect.Inspect(m).Layers {
			if l.Weight != "int8" {
				float = append(float, l.Name)
			}
		}
		if want := append(slices.Clone(kept), "final2.0"); !slices.Equal(float, want) { // with the class head
			t.Errorf("%s: layers %v are in float, want %v", name, float, want)
		}
	}
	if !slices.Equal(r.Gate.Kept, kept) {
		t.Errorf("the gate says that %v are kept, want %v", r.Gate.Kept, kept)
	}
	for _, v := range r.Variants {
		if (v.Name == cpuInt8 || v.Name == trtInt8) && !slices.Equal(v.Kept, kept) {
			t.Errorf("%s: %v are kept, want %v", v.Name, v.Kept, kept)
		}
	}
	if len(r.Layers) != len(net.Layers())-len(kept) {
		t.Errorf("%d layers are ranked, want the %d that are not kept", len(r.Layers), len(net.Layers())-len(kept))
	}
	page := read(t, filepath.Join(out, htmlFile))
	for _, name := range kept {
		if !strings.Contains(page, name) {
			t.Errorf("report.html does not name %s", name)
		}
	}
}

// TestMaxWidth shrinks the pictures of --eval, and with them the sheets; the calibration's stay.
func TestMaxWidth(t *testing.T) {
	model := streetModel(t)
	flags := append([]string{"--model", model, "--max-drop", "100", "--runs", "0", "--range", "minmax", "--eval", "day=scenes=day@256x192:100-101"}, smallStreets...)
	whole, wholeOut := made(t, flags...)
	small, smallOut := made(t, append(flags, "--max-width", "64")...)
	for _, c := range []struct {
		out           string
		width, height int
	}{{wholeOut, 256, 192}, {smallOut, 64, 48}} {
		for _, part := range []string{"input", "truth", "float", "integer", "disagreement"} {
			f, err := os.Open(filepath.Join(c.out, "sheet_0_"+part+".png"))
			if err != nil {
				t.Fatal(err)
			}
			size, err := png.DecodeConfig(f)
			if f.Close(); err != nil || size.Width != c.width || size.Height != c.height {
				t.Errorf("%s is %d×%d, %v; want %d×%d", part, size.Width, size.Height, err, c.width, c.height)
			}
		}
	}
	if a, b := whole.Variants[0].Accuracy[0].MIoU, small.Variants[0].Accuracy[0].MIoU; a == b {
		t.Errorf("the float model has %.4f on pictures of either size", a)
	}
	if whole.Calibration.Pictures.Hash != small.Calibration.Pictures.Hash {
		t.Error("the pictures of the calibration are others")
	}
	if code, _, stderr, _ := quantised(t, append(flags, "--max-width", "-1")...); code != cli.Usage || !strings.Contains(stderr, "-1 pixels") {
		t.Errorf("exit code %d, want %d: %s", code, cli.Usage, stderr)
	}
}

// TestCalibrateOnVideo takes frames of a clip, together with a labelled set.
func TestCalibrateOnVideo(t *testing.T) {
	clip := filepath.Join(t.TempDir(), "drive.MP4")
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg, which makes the clip, is not installed")
	}
	if text, err := exec.Command(ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=10:duration=1.2", "-pix_fmt", "yuv420p", clip).CombinedOutput(); err != nil {
		t.Skipf("ffmpeg cannot make the clip, maybe for want of a codec: %v: %s", err, text)
	}
	r, _ := made(t, quick(streetModel(t), append(smallStreets, "--calibrate", clip, "--count", "7")...)...)
	// 12 frames and 2 pictures are there: one of seven is a picture.
	if p := r.Calibration.Pictures; p.Count != 7 || p.Views != 7 || !slices.Equal(p.Sources, []string{"scenes/day:0-1", clip}) {
		t.Errorf("calibrated on %+v, want 7 pictures of both", p)
	}
	text := modelFile(t, "text.mp4", []byte("no video"))
	code, stdout, stderr, _ := quantised(t, quick(streetModel(t), "--calibrate", text)...)
	if code != cli.Failure || stdout != "" || !strings.Contains(stderr, text) {
		t.Errorf("a text called .mp4: exit code %d, %q, %s", code, stdout, stderr)
	}
}
