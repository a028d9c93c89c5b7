package cvmat

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestColourErrors(t *testing.T) {
	yuyv := Colour{Width: 4, Height: 2, Rows: 2, Type: gocv.MatTypeCV8UC2, Code: gocv.ColorYUVToBGRYUY2}
	wrong := yuyv
	wrong.Code = gocv.ColorYUVToBGRNV12 // which takes one channel
	for name, tc := range map[string]struct {
		colour    Colour
		bgr, from int
		says      string
	}{
		"short source": {yuyv, 24, 15, "sizes differ"},
		"short result": {yuyv, 23, 16, "sizes differ"},
		"empty":        {Colour{}, 0, 0, "sizes differ"},
		"other code":   {wrong, 24, 16, "OpenCV"},
	} {
		if err := tc.colour.Convert(make([]byte, tc.bgr), make([]byte, tc.from)); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: Convert = %v, want %q", name, err, tc.says)
		}
	}
	if got := yuyv.Bytes(); got != 16 {
		t.Errorf("Bytes = %d, want 16", got)
	}
}

// Frames of one pool may be converted by their owners at the same time, and Mat does it.
func TestFramesConvertRaw(t *testing.T) {
	c := Colour{Width: 64, Height: 48, Rows: 48, Type: gocv.MatTypeCV8UC2, Code: gocv.ColorYUVToBGRYUY2}
	pool := camera.NewRawPool(64, 48, camera.YUYV, c.Bytes(), c.Convert)
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			var frames Frames
			defer frames.Close()
			for n := range 50 {
				f := pool.Get()
				raw, _ := f.Raw()
				copy(raw, bytes.Repeat([]byte{byte(16 + 219*((i+n)%2)), 128}, 64*48))
				m, err := frames.Mat(f)
				if want := byte(255 * ((i + n) % 2)); err != nil || m.GetUCharAt(47, 63*3) != want {
					t.Errorf("Mat = %v, pixel %d; want %d", err, m.GetUCharAt(47, 63*3), want)
				}
				f.Release()
			}
		})
	}
	group.Wait()
}
