package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// headless are flags for work on files, followed by others.
func headless(args ...string) []string {
	return append([]string{"--rtsp", "off", "--http", "off"}, args...)
}

// The masks of a real drive, on the way from the video file to PNG files, have the accuracy
// that the model's card states: decoding, colour order, scaling and label order are right.
func TestAccuracy(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a quarter of a minute")
	}
	const classes, ignore, domain = 11, 11, "camvid/day_val"
	model := needShared(t, referenceModel)
	clip := needShared(t, "data/video/camvid_0016E5_15fps.mp4")
	labels := needShared(t, "data/camvid/labels")
	list := needShared(t, "data/camvid/splits/day_val.txt")

	masks := t.TempDir()
	process(t, headless("--camera", "file:"+clip+"?pace=0", "--model", model, "--masks", masks)...)
	m := confusion.New(classes, ignore)
	if n, err := evaluate.Folder(m, labels, masks, list); err != nil || n != 101 {
		t.Fatalf("scored %d masks: %v; want 101", n, err)
	}
	content, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(content)
	if err != nil {
		t.Fatal(err)
	}
	got, want := 100*m.MeanIoU(), card.Accuracy[domain].MIoU
	t.Logf("mean IoU %.2f, the card states %.2f", got, want)
	if !(math.Abs(got-want) <= 0.5) {
		t.Errorf("mean IoU = %.2f, want %.2f ± 0.5", got, want)
	}
}

// readIDs reads an image whose pixels are class ids, without gaps between its rows.
func readIDs(t *testing.T, path string) *image.Gray {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	gray, ok := img.(*image.Gray)
	if !ok || gray.Stride != gray.Rect.Dx() {
		t.Fatalf("%s decodes to %T, want 8-bit grey", path, img)
	}
	return gray
}

// fileNames lists a folder, hidden files included.
func fileNames(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// A clip that is not paced is processed whole, however slow the network is.
func TestClipToFiles(t *testing.T) {
	const frames = 60
	clip := makeClip(t, frames)
	// At about a hundredth of a second a frame, the network is slower than the camera.
	model := writeModel(t, trttest.Options{InputWidth: 960, InputHeight: 720})
	for name, c := range map[string]struct {
		args          []string
		width, height int
		want          int
	}{
		"all":          {nil, clipWidth, clipHeight, frames},
		"side by side": {[]string{"--visualize", "side-by-side"}, 2 * clipWidth, clipHeight, frames},
		"some":         {[]string{"--frames", "25"}, clipWidth, clipHeight, 25},
		"one":          {[]string{"--frames", "1"}, clipWidth, clipHeight, 1},
		"with servers": {[]string{"--rtsp", "127.0.0.1:0", "--http", "127.0.0.1:0"}, clipWidth, clipHeight, frames},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			video, masks := filepath.Join(folder, "out.mp4"), filepath.Join(folder, "masks")
			args := headless("--camera", "file:"+clip+"?pace=0", "--model", model, "--output", video, "--masks", masks)
			process(t, append(args, c.args...)...)
			info := checkVideo(t, video, c.width, c.height, c.want)
			if want := fmt.Sprintf("%d/1", clipFPS); info.Rate != want {
				t.Errorf("%s pictures a second, want %s as in the clip", info.Rate, want)
			}
			if got := fileNames(t, folder); !slices.Equal(got, []string{"masks", "out.mp4"}) {
				t.Errorf("files %q, want masks and out.mp4 only", got)
			}
			got := fileNames(t, masks)
			if len(got) != c.want || got[0] != "000000.png" || got[len(got)-1] != fmt.Sprintf("%06d.png", c.want-1) {
				t.Errorf("%d masks %q, want %d from 000000.png on", len(got), got, c.want)
			}
		})
	}
}

// Masks of a folder's pictures bear their names and show what is in them.
func TestFolderToMasks(t *testing.T) {
	const width, height = 48, 36
	pictures, masks := t.TempDir(), t.TempDir()
	want := map[string]uint8{}
	for i, class := range trttest.Classes(5) {
		name := "street " + class.Name
		want[name+".png"] = uint8(i)
		img := image.NewRGBA(image.Rect(0, 0, width, height))
		for p := range width * height {
			copy(img.Pix[4*p:], append(class.Color[:], 255))
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(pictures, name+".png"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	process(t, headless("--camera", "dir:"+pictures, "--masks", masks, "--model", writeModel(t, trttest.Options{}))...)
	if got := fileNames(t, masks); len(got) != len(want) {
		t.Errorf("masks %q, want %d", got, len(want))
	}
	for name, class := range want {
		mask := readIDs(t, filepath.Join(masks, name))
		if got := slices.Compact(slices.Sorted(slices.Values(mask.Pix))); !slices.Equal(got, []uint8{class}) {
			t.Errorf("%s has classes %v, want %d alone", name, got, class)
		}
	}
}

// A live camera is recorded in its own time.
func TestDuration(t *testing.T) {
	const limit = 2 * time.Second
	video := filepath.Join(t.TempDir(), "out.mp4")
	began := time.Now()
	process(t, "--camera", "synthetic:?size=320x180&fps=15", "--model", writeModel(t, trttest.Options{}),
		"--duration", limit.String(), "--output", video)
	if took := time.Since(began); took < limit {
		t.Errorf("ended after %v, want %v at least", took, limit)
	}
	checkVideo(t, video, 320, 180, 0)
}

// What is written by a process that is killed plays up to the last second or so, and the
// next recording to the same file does not destroy it.
func TestKilledWhileRecording(t *testing.T) {
	folder := t.TempDir()
	video := filepath.Join(folder, "out.mp4")
	args := []string{"--camera", "synthetic:?size=320x180&fps=15", "--model", writeModel(t, trttest.Options{}), "--output", video}
	p := spawn(t, args...)
	eventually(t, "some of the recording is on disk", func() bool {
		info, err := os.Stat(video + ".part")
		return err == nil && info.Size() > 100_000
	})
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.within(stopLimit)
	if got := fileNames(t, folder); !slices.Equal(got, []string{"out.mp4.part"}) {
		t.Errorf("files %q, want out.mp4.part", got)
	}
	checkVideo(t, video+".part", 320, 180, 0)

	process(t, append(args, "--frames", "5")...)
	checkVideo(t, video, 320, 180, 5)
	checkVideo(t, filepath.Join(folder, "out.recovered-1.mp4"), 320, 180, 0)
}
