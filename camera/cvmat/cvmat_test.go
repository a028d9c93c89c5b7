package cvmat_test

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"weak"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
)

func TestOverSizes(t *testing.T) {
	tests := map[string]struct {
		bytes, rows, cols int
		mt                gocv.MatType
		ok                bool
	}{
		"grey":                {6, 2, 3, gocv.MatTypeCV8UC1, true},
		"colour":              {18, 2, 3, gocv.MatTypeCV8UC3, true},
		"float":               {24, 2, 3, gocv.MatTypeCV32F, true},
		"double, two planes":  {96, 2, 3, gocv.MatTypeCV64F + gocv.MatChannels2, true},
		"16 bit, four planes": {48, 2, 3, gocv.MatTypeCV16U + gocv.MatChannels4, true},
		"float as bytes":      {6, 2, 3, gocv.MatTypeCV32F, false},
		"short":               {17, 2, 3, gocv.MatTypeCV8UC3, false},
		"long":                {19, 2, 3, gocv.MatTypeCV8UC3, false},
		"nothing":             {0, 0, 0, gocv.MatTypeCV8UC1, false},
		"no rows":             {6, 0, 3, gocv.MatTypeCV8UC1, false},
		"negative":            {6, -2, -3, gocv.MatTypeCV8UC1, false},
		"product overflows":   {0, 1 << 32, 1 << 32, gocv.MatTypeCV8UC1, false},
		"too many for C++":    {8, math.MaxInt32 + 2, 1, gocv.MatTypeCV8UC1, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := cvmat.Over(make([]byte, tt.bytes), tt.rows, tt.cols, tt.mt)
			if (err == nil) != tt.ok {
				t.Fatalf("error = %v, want accepted: %v", err, tt.ok)
			}
			if err != nil {
				return
			}
			if m.Rows() != tt.rows || m.Cols() != tt.cols || m.Total()*m.ElemSize() != tt.bytes {
				t.Errorf("%d×%d of %d bytes, want %d×%d over %d bytes", m.Rows(), m.Cols(), m.ElemSize(), tt.rows, tt.cols, tt.bytes)
			}
			for range 2 {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// OpenCV reads from and writes into Go's memory, which the collector leaves in place.
func TestOverSharesMemory(t *testing.T) {
	src, err := cvmat.Over([]byte{1, 2, 3, 4, 5, 6}, 1, 2, gocv.MatTypeCV8UC3)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	out := make([]byte, 6)
	dst, err := cvmat.Over(out, 1, 2, gocv.MatTypeCV8UC3)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	runtime.GC()
	gocv.CvtColor(src.Mat, &dst.Mat, gocv.ColorBGRToRGB)
	if want := []byte{3, 2, 1, 6, 5, 4}; !slices.Equal(out, want) {
		t.Errorf("slice = %v, want %v", out, want)
	}
}

func TestFramesFollowSizesAndBuffers(t *testing.T) {
	var frames cvmat.Frames
	defer frames.Close()
	// More buffers than the cache keeps, in three sizes, one of which shares a buffer.
	var all []*camera.Frame
	for i := range 40 {
		f := &camera.Frame{Pix: make([]byte, 36), Width: 4, Height: 3}
		if i%3 == 1 {
			f.Width, f.Height = 3, 4
		}
		f.Pix[0] = uint8(i)
		all = append(all, f)
	}
	all = append(all, &camera.Frame{Pix: all[0].Pix[:12], Width: 2, Height: 2})
	for round := range 3 {
		for i, f := range all {
			m, err := frames.Mat(f)
			if err != nil {
				t.Fatal(err)
			}
			if m.Rows() != f.Height || m.Cols() != f.Width || m.GetUCharAt(0, 0) != f.Pix[0] {
				t.Fatalf("round %d, frame %d: %d×%d beginning with %d, want %d×%d with %d",
					round, i, m.Cols(), m.Rows(), m.GetUCharAt(0, 0), f.Width, f.Height, f.Pix[0])
			}
		}
		frames.Close() // it is usable again
	}
}

// The frames of a camera that was closed must not stay in memory when the next one, of the
// same size, delivers.
func TestFramesLetOtherPoolsGo(t *testing.T) {
	var frames cvmat.Frames
	defer frames.Close()
	var old []weak.Pointer[byte]
	pool := camera.NewPool(640, 480)
	var inFlight []*camera.Frame
	for range 5 {
		inFlight = append(inFlight, pool.Get())
	}
	for _, f := range inFlight {
		if _, err := frames.Mat(f); err != nil {
			t.Fatal(err)
		}
		old = append(old, weak.Make(&f.Pix[0]))
		f.Release()
	}
	if _, err := frames.Mat(camera.NewPool(640, 480).Get()); err != nil {
		t.Fatal(err)
	}
	pool, inFlight = nil, nil
	runtime.GC()
	for i, p := range old {
		if p.Value() != nil {
			t.Errorf("buffer %d of the pool that is gone is still in memory", i)
		}
	}
}

func TestFramesRefuseFaultyFrames(t *testing.T) {
	var frames cvmat.Frames
	defer frames.Close()
	pix := make([]byte, 36)
	if _, err := frames.Mat(&camera.Frame{Pix: pix, Width: 4, Height: 3}); err != nil {
		t.Fatal(err)
	}
	// The first has a buffer and a size that are known.
	for _, f := range []*camera.Frame{
		{Pix: pix[:35], Width: 4, Height: 3}, {Pix: pix, Width: 4, Height: 4}, {Width: 4, Height: 3}, {Pix: pix},
	} {
		if _, err := frames.Mat(f); err == nil {
			t.Errorf("%d bytes passed for %d×%d pixels", len(f.Pix), f.Width, f.Height)
		}
	}
}

func TestFramesAllocateNothingInSteadyState(t *testing.T) {
	var frames cvmat.Frames
	defer frames.Close()
	var stream []*camera.Frame
	for range 8 {
		stream = append(stream, &camera.Frame{Pix: make([]byte, 36), Width: 4, Height: 3})
	}
	n := 0
	allocs := testing.AllocsPerRun(50, func() {
		if _, err := frames.Mat(stream[n%len(stream)]); err != nil {
			t.Fatal(err)
		}
		n++
	})
	if allocs != 0 {
		t.Errorf("a frame costs %v allocations, want 0", allocs)
	}
}
