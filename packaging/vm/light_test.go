package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

const (
	// maskWidth and maskHeight are of the model's mask.
	maskWidth, maskHeight = 80, 45
	maskFrames            = 10
	videoFrames           = 5
	// modelFile is beside the results; the daemon's own model takes seconds a frame emulated.
	modelFile = "model.onnx"
)

// TestLight captures from vivid with the real program and the host's libraries, on Debian's
// kernel, and looks at what comes back.
func TestLight(t *testing.T) {
	w := newWorkplace(t, "light")
	out := w.folder(t, "out")
	if err := os.WriteFile(filepath.Join(out, modelFile), colourModel(), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Abs("../../build/robustnet-edge")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("the program is not built; make build does it: %v", err)
	}
	command := func(args ...string) plan.Command {
		env := []string{"PATH=/usr/bin:/bin", "HOME=/tmp", "ROBUSTNET_MODEL_LIBRARY=" + os.Getenv("ROBUSTNET_MODEL_LIBRARY"),
			"ROBUSTNET_MODEL_PATH=" + filepath.Join(plan.OutFolder, modelFile), "ROBUSTNET_STREAM_RTSP=off", "ROBUSTNET_HTTP_ADDRESS=off"}
		return plan.Command{Args: append([]string{program}, args...), Env: env, Timeout: time.Minute}
	}
	modules, err := w.kernel.Load(plan.Module{Name: "virtio_pci"}, plan.Module{Name: "9pnet_virtio"}, plan.Module{Name: "9p"}, vivid)
	if err != nil {
		t.Fatal(err)
	}
	results := w.runCommands(t, out, &plan.Plan{Modules: modules, Commands: []plan.Command{
		command("--camera", "/dev/video0", "--size", "640x360", "--fps", "15",
			"--frames", fmt.Sprint(maskFrames), "--masks", filepath.Join(plan.OutFolder, "masks")),
		command("--camera", "v4l2:?size=1280x720", "--fps", "10",
			"--frames", fmt.Sprint(videoFrames), "--output", filepath.Join(plan.OutFolder, "drawn.mp4")),
		command("cameras", "--json"),
	}})
	t.Run("masks", func(t *testing.T) {
		succeeded(t, results, 0)
		checkMasks(t, filepath.Join(out, "masks"))
	})
	t.Run("video", func(t *testing.T) {
		succeeded(t, results, 1)
		checkVideo(t, filepath.Join(out, "drawn.mp4"))
	})
	t.Run("list", func(t *testing.T) {
		succeeded(t, results, 2)
		checkList(t, results[2].Stdout)
	})
}

// checkList wants the one camera and the modes that the test used.
func checkList(t *testing.T, text string) {
	var cameras []struct {
		Path, Driver string
		Modes        []struct{ Width, Height int }
	}
	if err := json.Unmarshal([]byte(text), &cameras); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if len(cameras) != 1 || cameras[0].Path != "/dev/video0" || cameras[0].Driver != "vivid" {
		t.Fatalf("cameras are %s; want /dev/video0 of vivid", text)
	}
	for _, size := range []image.Point{{640, 360}, {1280, 720}} {
		if !slices.ContainsFunc(cameras[0].Modes, func(m struct{ Width, Height int }) bool { return image.Pt(m.Width, m.Height) == size }) {
			t.Errorf("modes %v lack %v", cameras[0].Modes, size)
		}
	}
}

// runCommands boots the machine with the host's files and returns the commands' results.
func (w *workplace) runCommands(t *testing.T, out string, p *plan.Plan) []plan.Result {
	t.Helper()
	initramfs := w.initramfs(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	start := time.Now()
	m := &Machine{Kernel: w.kernel, Initramfs: initramfs, Console: w.console(), Out: out, HostFiles: true, MemoryMB: 1024, Acceleration: Acceleration()}
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("the machine ran for %.1f s by %s", time.Since(start).Seconds(), m.Acceleration)
	text, err := os.ReadFile(filepath.Join(out, plan.ResultFile))
	if err != nil {
		t.Fatalf("the machine left no results; %s may say why: %v", w.console(), err)
	}
	var results []plan.Result
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}
	if len(results) != len(p.Commands) {
		t.Fatalf("results of %d commands, want %d; %s may say why", len(results), len(p.Commands), w.console())
	}
	for i, r := range results {
		t.Logf("command %d: exit code %d after %.1f s %s", i, r.Exit, r.Seconds, r.Fault)
	}
	return results
}

func succeeded(t *testing.T, results []plan.Result, i int) {
	t.Helper()
	if r := results[i]; r.Exit != 0 {
		t.Fatalf("exit code %d, want 0: %s\n%s%s", r.Exit, r.Fault, r.Stdout, r.Stderr)
	}
}

// colourModel is a model that labels each pixel with the nearest of 27 colours.
func colourModel() []byte {
	return trttest.Model(trttest.Options{Classes: allColours, InputWidth: 2 * maskWidth, InputHeight: 2 * maskHeight})
}

const allColours = 27

// bars are the colours of vivid's test picture, from left to right: which channels are lit.
var bars = []struct {
	name string
	lit  [3]bool
}{
	{"white", [3]bool{true, true, true}}, {"yellow", [3]bool{true, true, false}},
	{"cyan", [3]bool{false, true, true}}, {"green", [3]bool{false, true, false}},
	{"magenta", [3]bool{true, false, true}}, {"red", [3]bool{true, false, false}},
	{"blue", [3]bool{false, false, true}}, {"black", [3]bool{}},
}

// checkMasks wants a mask for each frame, with the camera's colour bars in it.
func checkMasks(t *testing.T, folder string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err != nil || len(files) != maskFrames {
		t.Fatalf("%d masks, want %d (%v)", len(files), maskFrames, err)
	}
	classes := trttest.Classes(allColours)
	for _, path := range files {
		ids := readMask(t, path)
		for i, bar := range bars {
			// The camera writes text over the upper part of its picture.
			x, y := (2*i+1)*maskWidth/(2*len(bars)), maskHeight*9/10
			class := classes[ids.GrayAt(x, y).Y]
			if lit(class) != bar.lit {
				t.Errorf("%s: the %s bar is of class %s, colour %v", filepath.Base(path), bar.name, class.Name, class.Color)
			}
		}
	}
}

func lit(c trt.Class) [3]bool { return [3]bool{c.Color[0] > 0, c.Color[1] > 0, c.Color[2] > 0} }

func readMask(t *testing.T, path string) *image.Gray {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	ids, ok := picture.(*image.Gray)
	if !ok || ids.Rect.Dx() != maskWidth || ids.Rect.Dy() != maskHeight {
		t.Fatalf("%s is %T of %v; want grey, %dx%d", path, picture, picture.Bounds(), maskWidth, maskHeight)
	}
	return ids
}

// checkVideo lets ffprobe, which is not this project's, decode the recording.
func checkVideo(t *testing.T, path string) {
	said, err := exec.Command("ffprobe", "-v", "error", "-count_frames", "-select_streams", "v",
		"-show_entries", "stream=width,height,nb_read_frames", "-of", "csv=p=0", path).CombinedOutput()
	got, want := strings.TrimSpace(string(said)), fmt.Sprintf("1280,720,%d", videoFrames)
	if err != nil || got != want {
		t.Errorf("the recording has size and frames %q (%v), want %s", got, err, want)
	}
}
