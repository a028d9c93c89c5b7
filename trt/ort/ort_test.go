package ort_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

var _ trt.Engine = (*ort.Engine)(nil)

// A frame of 4×3 tiles, each in a class's colour, must come back as these tiles, whatever
// the frame's size and shape: colour order, stretching, rows and label order are right.
func TestMaskShowsWhatIsPainted(t *testing.T) {
	const columns, rows = 4, 3
	classes := trttest.Classes(columns * rows)
	e := load(t, trttest.Options{Classes: len(classes), InputWidth: 48, InputHeight: 36})
	sizes := map[string][2]int{
		"the network's": {48, 36}, "double": {96, 72}, "much larger": {1280, 720}, "non-integer": {131, 97},
		"smaller": {24, 18}, "tall": {40, 400}, "wide": {400, 30}, "one row wide": {640, 36},
	}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			width, height := size[0], size[1]
			r, err := e.Run(newFrame(width, height, func(x, y int) [3]uint8 {
				return classes[y*rows/height*columns+x*columns/width].Color
			}))
			if err != nil {
				t.Fatal(err)
			}
			const maskWidth, maskHeight = 24, 18
			if len(r.Mask) != maskWidth*maskHeight {
				t.Fatalf("mask has %d pixels, want %d", len(r.Mask), maskWidth*maskHeight)
			}
			const tile = maskWidth / columns
			for i, got := range r.Mask {
				x, y := i%maskWidth, i/maskWidth
				if border := x%tile == 0 || x%tile == tile-1 || y%tile == 0 || y%tile == tile-1; border {
					continue // colours mix where tiles meet
				}
				if want := y/tile*columns + x/tile; int(got) != want {
					t.Fatalf("mask at %d, %d = %d, want %d", x, y, got, want)
				}
			}
		})
	}
}

func TestStyleIsThatOfTheFrame(t *testing.T) {
	e := load(t, trttest.Options{})
	// Left half black, right half (200, 100, 50): mean half of it, deviation half of it.
	r, err := e.Run(newFrame(48, 36, func(x, _ int) [3]uint8 {
		if x < 24 {
			return [3]uint8{}
		}
		return [3]uint8{200, 100, 50}
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{100. / 255, 50. / 255, 25. / 255, 100. / 255, 50. / 255, 25. / 255}
	if !slices.EqualFunc(r.Style, want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-5 }) {
		t.Errorf("style = %v, want %v", r.Style, want)
	}
	if r.Preprocess <= 0 || r.Infer <= 0 {
		t.Errorf("times = %v and %v, want both above 0", r.Preprocess, r.Infer)
	}
}

func TestExtremeSizes(t *testing.T) {
	e := load(t, trttest.Options{})
	class := trttest.Classes(11)[7]
	for _, size := range [][2]int{{1, 1}, {2, 1}, {1, 5000}, {40000, 1}, {3, 2}, {6000, 4000}} {
		r, err := e.Run(newFrame(size[0], size[1], func(_, _ int) [3]uint8 { return class.Color }))
		if err != nil {
			t.Errorf("%v: %v", size, err)
			continue
		}
		if i := slices.IndexFunc(r.Mask, func(id uint8) bool { return id != 7 }); i >= 0 {
			t.Errorf("%v: mask holds %d at %d, want 7 everywhere", size, r.Mask[i], i)
		}
	}
}

func TestFaultyFrames(t *testing.T) {
	e := load(t, trttest.Options{})
	good := newFrame(48, 36, func(_, _ int) [3]uint8 { return trttest.Classes(3)[2].Color })
	frames := map[string]*camera.Frame{
		"no pixels":   {Width: 48, Height: 36},
		"no size":     {Pix: good.Pix},
		"cut short":   {Pix: good.Pix[:len(good.Pix)-1], Width: 48, Height: 36},
		"too long":    {Pix: append(slices.Clone(good.Pix), 0), Width: 48, Height: 36},
		"negative":    {Pix: good.Pix, Width: -48, Height: -36},
		"overflowing": {Pix: good.Pix, Width: 1 << 62, Height: 1 << 62},
	}
	for name, f := range frames {
		f.Seq = 42
		_, err := e.Run(f)
		if err == nil || !strings.HasPrefix(err.Error(), "scale frame 42: ") {
			t.Errorf("%s: error = %v, want one about frame 42", name, err)
		}
		r, err := e.Run(good)
		if err != nil || r.Mask[0] != 2 {
			t.Fatalf("%s: the next frame = %v, %v; want it segmented", name, r.Mask, err)
		}
	}
}

func TestClosed(t *testing.T) {
	e := load(t, trttest.Options{})
	before := e.Describe()
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := e.Describe(); got != before {
		t.Errorf("description = %+v, want %+v as before Close", got, before)
	}
	if _, err := e.Run(newFrame(48, 36, func(_, _ int) [3]uint8 { return [3]uint8{} })); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Run after Close: error = %v, want os.ErrClosed", err)
	}
}

func TestInterrupted(t *testing.T) {
	e := load(t, trttest.Options{})
	f := newFrame(48, 36, func(_, _ int) [3]uint8 { return [3]uint8{} })
	if _, err := e.Run(f); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	for range 4 {
		others.Go(e.Interrupt)
	}
	others.Wait()
	for range 2 {
		if _, err := e.Run(f); !errors.Is(err, trt.ErrInterrupted) {
			t.Errorf("Run after Interrupt: error = %v, want ErrInterrupted", err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e.Interrupt()
}

func TestDescribe(t *testing.T) {
	e := load(t, trttest.Options{InputWidth: 64, InputHeight: 40, MaskWidth: 16, MaskHeight: 20})
	got := e.Describe()
	if !strings.HasPrefix(got.Backend, "ONNX Runtime 1.") || !strings.HasSuffix(got.Backend, " CPU") {
		t.Errorf("backend = %q, want library, version and device", got.Backend)
	}
	got.Backend = ""
	want := trt.Description{Threads: 1, InputWidth: 64, InputHeight: 40, MaskWidth: 16, MaskHeight: 20, StyleLen: 6}
	if got != want {
		t.Errorf("description = %+v, want %+v", got, want)
	}
}

// Frames come from a pool: the same few buffers over and over.
func TestRunAllocatesNothing(t *testing.T) {
	e := load(t, trttest.Options{})
	frames := make([]*camera.Frame, 7)
	for i := range frames {
		frames[i] = newFrame(160, 120, func(_, _ int) [3]uint8 { return [3]uint8{uint8(i)} })
	}
	n := 0
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := e.Run(frames[n%len(frames)]); err != nil {
			t.Fatal(err)
		}
		n++
	})
	if allocs != 0 {
		t.Errorf("Run allocates %v times a frame, want 0", allocs)
	}
}

// Engines of different models share the library, and neither notices the other's end.
func TestEnginesSideBySide(t *testing.T) {
	small, large := load(t, trttest.Options{Classes: 3}), load(t, trttest.Options{InputWidth: 96, InputHeight: 72})
	class := trttest.Classes(3)[1]
	f := newFrame(200, 100, func(_, _ int) [3]uint8 { return class.Color })
	run := func(e *ort.Engine) {
		r, err := e.Run(f)
		if err != nil || bytes.Count(r.Mask, []byte{1}) != len(r.Mask) {
			t.Errorf("mask = %v, error %v; want 1 everywhere", r.Mask, err)
		}
	}
	var both sync.WaitGroup
	for _, e := range []*ort.Engine{small, large} {
		both.Go(func() {
			for range 50 {
				run(e)
			}
		})
	}
	both.Wait()
	if err := small.Close(); err != nil {
		t.Fatal(err)
	}
	run(large)
}

func TestLibraryFaults(t *testing.T) {
	real := trttest.Library(t)
	model := trttest.Model(trttest.Options{})
	faults := map[string]struct{ library, want string }{
		"missing": {"/nonexistent/libonnxruntime.so", "ONNX Runtime cannot be loaded: stat /nonexistent/libonnxruntime.so: no such file or directory; name the file of ONNX Runtime 1.24 or newer with --onnxruntime"},
		"another": {"libm.so.6", "OrtGetApiBase"},
		"no code": {"ort_test.go", "ort_test.go"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			if fault.library == "libm.so.6" {
				found, err := filepath.Glob("/lib/*/libm.so.6")
				if err != nil || len(found) == 0 {
					t.Skip("no libm.so.6 to take for ONNX Runtime")
				}
				fault.library = found[0]
			}
			_, err := ort.Load("tiny.onnx", model, ort.Options{Library: fault.library})
			if !errors.Is(err, ort.ErrLibrary) || !strings.Contains(err.Error(), fault.want) || !strings.Contains(err.Error(), "--onnxruntime") {
				t.Errorf("error = %v, want ErrLibrary with %q and the next step", err, fault.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
			e, err := ort.Load("tiny.onnx", model, ort.Options{Library: real})
			if err != nil {
				t.Fatalf("after the fault the real library does not load: %v", err)
			}
			defer e.Close()
			if _, err := ort.Load("tiny.onnx", model, ort.Options{Library: fault.library}); !errors.Is(err, ort.ErrLibrary) {
				t.Errorf("another library while one is in use: error = %v, want ErrLibrary", err)
			}
		})
	}
}

func TestModelFaults(t *testing.T) {
	good := trttest.Model(trttest.Options{})
	faults := map[string]struct {
		model []byte
		is    error
		want  string
	}{
		"empty":      {nil, onnx.ErrCorrupt, "model FILE: not a readable ONNX model: it is empty"},
		"cut short":  {good[:len(good)/3], onnx.ErrCorrupt, "model FILE: not a readable ONNX model: it is cut short or damaged"},
		"wrong type": {trttest.Model(trttest.Options{InputType: onnx.Float32}), trt.ErrContract, "model FILE: it breaks the model-file contract of docs/model-file.md: its input image is float32; it must be uint8"},
		"no such op": {bytes.ReplaceAll(good, []byte("ArgMax"), []byte("ArgMid")), nil, "model FILE: prepare in ONNX Runtime: "},
		"bad graph":  {bytes.Replace(good, []byte("products"), []byte("producta"), 1), nil, "model FILE: prepare in ONNX Runtime: "},
		"false card": {
			trttest.Model(trttest.Options{EditCard: func(c *trt.Card) { c.Mask.Width = 1 }}), trt.ErrContract,
			"model FILE: it breaks the model-file contract of docs/model-file.md: its output mask has shape [1 18 24] but by its card it is [1 18 1]",
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.onnx")
			if err := os.WriteFile(path, fault.model, 0o600); err != nil {
				t.Fatal(err)
			}
			e, err := ort.Open(path, ort.Options{Library: trttest.Library(t)})
			if err == nil {
				e.Close()
				t.Fatal("it was opened")
			}
			t.Log(err)
			got := strings.ReplaceAll(err.Error(), path, "FILE")
			if fault.is != nil && (got != fault.want || !errors.Is(err, fault.is)) {
				t.Errorf("got  %s\nwant %s", got, fault.want)
			}
			if !strings.HasPrefix(got, fault.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %q\nwant one line that begins with %q", got, fault.want)
			}
		})
	}
}

func TestOpenFaults(t *testing.T) {
	if _, err := ort.Open("nowhere.onnx", ort.Options{}); !errors.Is(err, fs.ErrNotExist) || err.Error() != "open model: open nowhere.onnx: no such file or directory" {
		t.Errorf("missing file: error = %v", err)
	}
	// A device has no end.
	for _, path := range []string{"/dev/zero", t.TempDir()} {
		if _, err := ort.Open(path, ort.Options{}); err == nil || err.Error() != "open model: "+path+" is not a file" {
			t.Errorf("%s: error = %v, want that it is not a file", path, err)
		}
	}
}

// The library's own builds keep figures of their use in the user's cache folder, to send them,
// unless they are told otherwise before they are loaded.
func TestNothingIsGatheredOfItsUse(t *testing.T) {
	if folder := os.Getenv("ROBUSTNET_TEST_GATHERING"); folder != "" {
		load(t, trttest.Options{})
		return
	}
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNothingIsGatheredOfItsUse$")
	cmd.Env = append(os.Environ(), "ROBUSTNET_TEST_GATHERING="+folder, "HOME="+folder, "XDG_CACHE_HOME="+folder,
		"ROBUSTNET_MODEL_LIBRARY="+trttest.Library(t))
	cmd.Env = slices.DeleteFunc(cmd.Env, func(entry string) bool { return strings.HasPrefix(entry, "ORT_DISABLE_TELEMETRY=") })
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("loading a model left %s behind", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
