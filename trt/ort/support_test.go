package ort_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// shared returns the path of a file beside the checkout, or skips.
func shared(tb testing.TB, name string) string {
	tb.Helper()
	folder := os.Getenv("ROBUSTNET_SHARED")
	if folder == "" {
		folder = "../../../shared"
	}
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		tb.Skipf("test data is not here (set ROBUSTNET_SHARED): %v", err)
	}
	return path
}

// reference opens the model that the reference implementation trained.
func reference(tb testing.TB, o ort.Options) *ort.Engine {
	tb.Helper()
	path := shared(tb, "models/camvid_mobilenetv2_isw_reference.onnx")
	o.Library = trttest.Library(tb)
	e, err := ort.Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, e)
	return e
}

// load opens a model of trttest.
func load(tb testing.TB, o trttest.Options) *ort.Engine {
	tb.Helper()
	e, err := ort.Load("tiny.onnx", trttest.Model(o), ort.Options{Library: trttest.Library(tb), Threads: 1})
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, e)
	return e
}

func closeAtEnd(tb testing.TB, e *ort.Engine) {
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
}

// newFrame returns a frame whose pixels have the colour, red, green, blue, of paint.
func newFrame(width, height int, paint func(x, y int) [3]uint8) *camera.Frame {
	f := &camera.Frame{Pix: make([]byte, 0, width*height*3), Width: width, Height: height}
	for y := range height {
		for x := range width {
			c := paint(x, y)
			f.Pix = append(f.Pix, c[2], c[1], c[0])
		}
	}
	return f
}
