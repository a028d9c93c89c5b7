package file

import (
	"os"

	"github.com/abema/go-mp4"
	"gocv.io/x/gocv"
)

// turn is a rotation by quarter turns, from the stored picture to the upright one.
type turn int

const (
	upright turn = iota
	clockwise
	upsideDown
	counterClockwise
)

func (t turn) swapsSides() bool { return t == clockwise || t == counterClockwise }

func (t turn) flag() gocv.RotateFlag {
	switch t {
	case clockwise:
		return gocv.Rotate90Clockwise
	case upsideDown:
		return gocv.Rotate180Clockwise
	}
	return gocv.Rotate90CounterClockwise
}

// storedTurn reads the matrix of the first picture track of an MP4 or QuickTime file
// (ISO/IEC 14496-12 section 8.3.2). Other files, and unreadable ones, are upright.
func storedTurn(path string) turn {
	f, err := os.Open(path)
	if err != nil {
		return upright
	}
	defer f.Close() // read only: nothing to lose
	headers, err := mp4.ExtractBoxWithPayload(f, nil, mp4.BoxPath{mp4.BoxTypeMoov(), mp4.BoxTypeTrak(), mp4.BoxTypeTkhd()})
	if err != nil {
		return upright
	}
	for _, h := range headers {
		track, ok := h.Payload.(*mp4.Tkhd)
		if !ok || track.Width == 0 {
			continue // sound
		}
		switch a, b := track.Matrix[0], track.Matrix[1]; {
		case b > 0:
			return clockwise
		case b < 0:
			return counterClockwise
		case a < 0:
			return upsideDown
		}
		return upright
	}
	return upright
}
