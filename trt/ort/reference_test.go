package ort_test

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

const (
	camvidIgnore = 11
	clip         = "data/video/camvid_0016E5_15fps.mp4"
)

// TestReferenceModelAccuracy measures the model on real pictures, as the card did: mean IoU
// over the 101 pictures of one drive. That it comes out the same shows that decoding, colour
// order, scaling and label order are right.
func TestReferenceModelAccuracy(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a quarter of a minute")
	}
	e := reference(t, ort.Options{Threads: 2})
	const domain = "camvid/day_val"
	stated := e.Card().Accuracy[domain]
	if stated.MIoU != 54.07 {
		t.Fatalf("the card states %v on %s, want 54.07", stated.MIoU, domain)
	}
	names := dayVal(t)
	t.Run("video", func(t *testing.T) {
		video, err := gocv.VideoCaptureFile(shared(t, clip))
		if err != nil {
			t.Fatal(err)
		}
		defer video.Close()
		m := evaluate(t, e, names, func(_ string, dst *gocv.Mat) bool { return video.Read(dst) })
		checkAccuracy(t, m, stated)
	})
	t.Run("pictures", func(t *testing.T) {
		folder := shared(t, "data/camvid/images")
		m := evaluate(t, e, names, func(name string, dst *gocv.Mat) bool {
			img := gocv.IMRead(filepath.Join(folder, name+".jpg"), gocv.IMReadColor)
			defer img.Close()
			img.CopyTo(dst)
			return !img.Empty()
		})
		checkAccuracy(t, m, stated)
	})
}

func checkAccuracy(t *testing.T, m *confusion.Matrix, stated trt.Accuracy) {
	t.Helper()
	got := 100 * m.MeanIoU()
	t.Logf("mean IoU %.2f, the card states %.2f", got, stated.MIoU)
	if math.Abs(got-stated.MIoU) > 0.5 {
		t.Errorf("mean IoU = %.2f, want %.2f ± 0.5", got, stated.MIoU)
	}
	for c, iou := range m.IoU() {
		if math.Abs(100*iou-stated.PerClass[c]) > 2 {
			t.Errorf("IoU of class %d = %.1f, want %.1f ± 2", c, 100*iou, stated.PerClass[c])
		}
	}
}

// evaluate segments one picture per name and scores the masks at the labels' size.
func evaluate(t *testing.T, e *ort.Engine, names []string, next func(name string, dst *gocv.Mat) bool) *confusion.Matrix {
	t.Helper()
	labels := shared(t, "data/camvid/labels")
	d := e.Describe()
	m := confusion.New(len(e.Card().Classes), camvidIgnore)
	picture := gocv.NewMat()
	defer picture.Close()
	for _, name := range names {
		if !next(name, &picture) {
			t.Fatalf("no picture for %s", name)
		}
		r, err := e.Run(frameOf(picture))
		if err != nil {
			t.Fatal(err)
		}
		truth := readLabels(t, filepath.Join(labels, name+".png"))
		size := truth.Rect.Size()
		mask, err := confusion.Resize(r.Mask, d.MaskWidth, d.MaskHeight, size.X, size.Y)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Add(truth.Pix, mask); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return m
}

func frameOf(m gocv.Mat) *camera.Frame {
	return &camera.Frame{Pix: m.ToBytes(), Width: m.Cols(), Height: m.Rows()}
}

func readLabels(t *testing.T, path string) *image.Gray {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img.(*image.Gray)
}

func dayVal(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadFile(shared(t, "data/camvid/splits/day_val.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(list))
	if len(names) != 101 {
		t.Fatalf("%d names, want 101", len(names))
	}
	return names
}

// clipFrames decodes the first n frames of the clip.
func clipFrames(tb testing.TB, n int) []*camera.Frame {
	tb.Helper()
	video, err := gocv.VideoCaptureFile(shared(tb, clip))
	if err != nil {
		tb.Fatal(err)
	}
	defer video.Close()
	m := gocv.NewMat()
	defer m.Close()
	var frames []*camera.Frame
	for range n {
		if !video.Read(&m) {
			tb.Fatal("the clip ended early")
		}
		frames = append(frames, frameOf(m))
	}
	return frames
}

// Inference must not depend on how the work was divided.
func TestThreadsGiveTheSameMasks(t *testing.T) {
	frames := clipFrames(t, 3)
	var want [][]uint8
	for threads := 1; threads <= 4; threads++ {
		e := reference(t, ort.Options{Threads: threads})
		if got := e.Describe().Threads; got != threads {
			t.Errorf("description says %d threads, want %d", got, threads)
		}
		for i, f := range frames {
			r, err := e.Run(f)
			if err != nil {
				t.Fatal(err)
			}
			if threads == 1 {
				want = append(want, slices.Clone(r.Mask))
			} else if !bytes.Equal(r.Mask, want[i]) {
				t.Errorf("frame %d: the mask of %d threads differs from that of 1", i, threads)
			}
		}
		e.Close()
	}
}

// The style of the drive lies where the card says that the source domain's does.
func TestReferenceStyle(t *testing.T) {
	e := reference(t, ort.Options{})
	r, err := e.Run(clipFrames(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	style := e.Card().Style
	var sum float64
	for i, v := range r.Style {
		z := float64(v-style.Mean[i]) / float64(style.Std[i])
		sum += z * z
	}
	rms := math.Sqrt(sum / float64(len(r.Style)))
	t.Logf("root mean square distance %.2f deviations", rms)
	if !(rms < 3) {
		t.Errorf("style lies %.2f deviations from the source domain's, want below 3", rms)
	}
}

func TestReferenceRunIsInterrupted(t *testing.T) {
	e := reference(t, ort.Options{})
	frame := clipFrames(t, 1)[0]
	failed := make(chan error)
	runs := make(chan struct{}, 1)
	go func() {
		for {
			if _, err := e.Run(frame); err != nil {
				failed <- err
				return
			}
			select {
			case runs <- struct{}{}:
			default:
			}
		}
	}()
	<-runs // the next run is in progress, or about to be
	e.Interrupt()
	if err := <-failed; !errors.Is(err, trt.ErrInterrupted) {
		t.Errorf("error = %v, want ErrInterrupted", err)
	}
}

func TestReferenceRunAllocatesNothing(t *testing.T) {
	e := reference(t, ort.Options{})
	frames := clipFrames(t, 2)
	n := 0
	if allocs := testing.AllocsPerRun(5, func() {
		if _, err := e.Run(frames[n%2]); err != nil {
			t.Fatal(err)
		}
		n++
	}); allocs != 0 {
		t.Errorf("Run allocates %v times a frame, want 0", allocs)
	}
}

// Freed memory comes back to the system late and in part, so single readings jump by a
// hundred MiB; an engine that is never freed raises all of them, by over 50 MiB each.
func TestReopeningKeepsMemoryFlat(t *testing.T) {
	runtime.LockOSThread() // malloc keeps an arena per thread
	defer runtime.UnlockOSThread()
	path := shared(t, "models/camvid_mobilenetv2_isw_reference.onnx")
	const cycles = 10
	var resident [cycles]int
	for i := range cycles {
		e, err := ort.Open(path, ort.Options{Library: trttest.Library(t), Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		resident[i] = residentMiB(t)
	}
	t.Logf("resident memory in MiB: %v", resident)
	first, last := slices.Min(resident[:3]), slices.Min(resident[cycles-3:])
	if last > first+150 {
		t.Errorf("resident memory grew from %d to %d MiB in %d engines", first, last, cycles-3)
	}
}

func residentMiB(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("resident memory cannot be read: %v", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

func BenchmarkReference(b *testing.B) {
	frames := clipFrames(b, 4)
	e := reference(b, ort.Options{Threads: 2})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := e.Run(frames[n%len(frames)]); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
