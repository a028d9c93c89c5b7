package camera

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A raw frame is converted when somebody looks at it, once, and not at all if nobody does.
func TestRawFrame(t *testing.T) {
	calls := 0
	p := NewRawPool(4, 2, YUYV, 16, func(bgr, raw []byte) error {
		calls++
		for i := range bgr {
			bgr[i] = raw[0]
		}
		return nil
	})
	for round := range 3 {
		f := p.Get()
		raw, format := f.Raw()
		if len(raw) != 16 || format != YUYV {
			t.Fatalf("raw %d bytes of %q, want 16 of YUYV", len(raw), format)
		}
		raw[0] = byte(10 + round)
		if round == 1 {
			f.Release()
			continue
		}
		for range 2 {
			bgr, err := f.BGR()
			if err != nil || !bytes.Equal(bgr, bytes.Repeat([]byte{byte(10 + round)}, 24)) {
				t.Errorf("round %d: BGR = %v, %v", round, bgr, err)
			}
		}
		if again, _ := f.Raw(); again[0] != byte(10+round) {
			t.Errorf("raw bytes changed to %v", again)
		}
		f.Release()
	}
	if calls != 2 {
		t.Errorf("converted %d times for two frames that were looked at, want 2", calls)
	}
}

func TestRawFrameFault(t *testing.T) {
	fault := errors.New("no such colour")
	f := NewRawPool(4, 2, NV12, 12, func([]byte, []byte) error { return fault }).Get()
	f.Seq = 7
	for range 2 { // a frame that failed must not pass for converted
		if bgr, err := f.BGR(); bgr != nil || !errors.Is(err, fault) || !strings.Contains(err.Error(), "frame 7 from NV12") {
			t.Errorf("BGR = %v, %v", bgr, err)
		}
	}
}

func TestPlainFrame(t *testing.T) {
	for name, f := range map[string]*Frame{
		"of a pool": NewPool(4, 2).Get(), "made by hand": {Pix: make([]byte, 24), Width: 4, Height: 2},
	} {
		bgr, err := f.BGR()
		if err != nil || len(bgr) != 24 || &bgr[0] != &f.Pix[0] {
			t.Errorf("%s: BGR = %d bytes, %v; want Pix", name, len(bgr), err)
		}
		if raw, format := f.Raw(); raw != nil || format != "" {
			t.Errorf("%s: Raw = %v, %q; want none", name, raw, format)
		}
	}
}
