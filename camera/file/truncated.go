package file

import (
	"fmt"
	"os"
	"time"

	"github.com/abema/go-mp4"

	"github.com/robustnet-edge/robustnet/camera"
)

// slack is how much of a file may be missing by its estimated length: containers other
// than MP4 and QuickTime name a duration, which may be that of the sound.
const slack = time.Second

// checkComplete returns an error that wraps [camera.ErrTruncated] if the pass that has
// just ended gave fewer frames than the file announces.
//
// MP4 and QuickTime count exactly, but also count frames that an edit list hides. There
// the file must also end inside one of its boxes (ISO/IEC 14496-12 section 4.2).
func (s *source) checkComplete() error {
	if s.index >= s.announced {
		return nil
	}
	short, isMP4, err := cutShort(s.path)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	if !isMP4 {
		missing := time.Duration(float64(s.announced)/s.fps*float64(time.Second)) - (s.last - s.base)
		short = missing > slack
	}
	if !short {
		return nil
	}
	return fmt.Errorf("read %s: %w: it has %d of the %d frames that it announces; copy it again",
		s.name, camera.ErrTruncated, s.index, s.announced)
}

// cutShort reports whether an MP4 or QuickTime file ends before its last box does.
func cutShort(path string) (short, isMP4 bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, false, err
	}
	defer f.Close() // read only: nothing to lose
	stat, err := f.Stat()
	if err != nil {
		return false, false, err
	}
	var end uint64
	// A box that cannot be read ends the walk; what came before it counts.
	_, walkErr := mp4.ReadBoxStructure(f, func(h *mp4.ReadHandle) (any, error) {
		isMP4 = isMP4 || h.BoxInfo.Type == mp4.BoxTypeMdat() || h.BoxInfo.Type == mp4.BoxTypeMoov()
		end = max(end, h.BoxInfo.Offset+h.BoxInfo.Size)
		return nil, nil
	})
	return isMP4 && (end > uint64(stat.Size()) || walkErr != nil), isMP4, nil
}
